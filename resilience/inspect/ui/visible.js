// Knows which rows are in view: only these are drawn. What is out of view is changed too, so that the browser finds it and
// so do programs, but costs no layout: see content-visibility in page.css.

/** Watches elements. show is called with whether its element is in view: when it comes there, and at each update. */
export function whenVisible() {
  const shows = new Map();
  const visible = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        visible.add(target);
        shows.get(target)?.(true);
      } else {
        visible.delete(target);
      }
    }
  }, { rootMargin: "200px" });

  return {
    watch(element, show) {
      shows.set(element, show);
      observer.observe(element);
    },
    forget(element) {
      shows.delete(element);
      visible.delete(element);
      observer.unobserve(element);
    },
    update() {
      for (const [element, show] of shows) show(visible.has(element));
    },
  };
}
