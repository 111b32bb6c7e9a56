// Which page is shown: `#/now`, `#/point/gd-01.ch4?from=…`.
import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => { hash.value = location.hash; });

/** The page's name, the rest of the path (decoded), and the query. */
export const route = computed(() => {
  const [path = "", query = ""] = hash.value.replace(/^#\/?/, "").split("?");
  const [page = "now", ...rest] = path.split("/");
  return { page: page || "now", rest: rest.map(decodeURIComponent).join("/"), query: new URLSearchParams(query) };
});

export const href = (page: string, rest = "", query: Record<string, string> = {}): string => {
  const words = new URLSearchParams(query).toString();
  return `#/${page}${rest ? `/${encodeURIComponent(rest)}` : ""}${words ? `?${words}` : ""}`;
};

export const go = (page: string, rest = "", query: Record<string, string> = {}): void => { location.hash = href(page, rest, query); };
