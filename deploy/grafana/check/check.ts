// The types that the dashboards of deploy/grafana/dashboards must have: those that Grafana publishes,
// with the options of each kind of panel in place of "anything".
import type { Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Plain is a type as it is in JSON: the name of an enumeration's value stands for the value.
type Plain<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Plain<Item>>
      : T extends object
        ? { [Key in keyof T]: Plain<T[Key]> }
        : T;

// A query of the Prometheus data source, whose type is not in this package. What else it takes is not used.
interface Query extends Pick<DataQuery, 'refId'> {
  datasource: { type: 'prometheus'; uid: '${datasource}' };
  expr: string;
  legendFormat?: string;
  format: 'time_series' | 'table' | 'heatmap';
  range: boolean;
  instant: boolean;
  exemplar: boolean;
  editorMode: 'code' | 'builder';
}

type Base = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> &
  Required<Pick<Panel, 'id' | 'gridPos' | 'title' | 'description' | 'datasource'>>;

interface Of<Type extends string, Options, Custom> extends Base {
  type: Type;
  options: Options;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & { defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom } };
  targets: Query[];
}

type CheckedPanel =
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Of<'stat', stat.Options, never>
  | Of<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Of<'table', table.Options, Partial<table.FieldConfig>>
  | Of<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig>;

export type CheckedDashboard = Plain<
  Omit<Dashboard, 'panels' | 'templating'> &
    Required<Pick<Dashboard, 'uid' | 'title' | 'description' | 'tags'>> & {
      schemaVersion: 42; // of the version in package.json
      templating: { list: VariableModel[] };
      panels: Array<CheckedPanel | RowPanel>;
    }
>;
