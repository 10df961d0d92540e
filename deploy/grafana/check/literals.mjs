// Writes the dashboards as one file of TypeScript. There, as literals with a type, the compiler
// checks every value and rejects every property that the type does not have; it does neither with
// imported JSON.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('../dashboards/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
if (files.length === 0) {
  throw new Error(`${folder.pathname} has no dashboards: run go run ./deploy/generate`);
}
let text = "import type { CheckedDashboard } from './check';\n";
for (const name of files) {
  const value = JSON.stringify(JSON.parse(readFileSync(new URL(name, folder), 'utf8')), null, 2);
  text += `\nexport const ${name.replace(/\W/g, '_')}: CheckedDashboard = ${value};\n`;
}
writeFileSync(new URL('dashboards.gen.ts', import.meta.url), text);
console.log(`${files.length} dashboards: ${files.join(', ')}`);
