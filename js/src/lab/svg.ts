// Pictures of charts as elements of the page: they take its colours and fonts, and screen readers read their marks.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Elements that a picture may have: none that loads, runs or styles anything. */
const TAGS = new Set(
  "svg g path rect circle ellipse line polyline polygon text tspan title desc defs clipPath linearGradient stop".split(
    " ",
  ),
);

/** Attributes with an address or code, which a picture may not have. */
const UNSAFE = /^on|href$|^style$|^src$/i;

function copy(source: Element): Element | null {
  if (!TAGS.has(source.localName)) return null;
  const target = document.createElementNS(NAMESPACE, source.localName);
  for (const { name, value } of source.attributes) {
    // url(#name) points into the picture; anything else would load.
    if (name.startsWith("xmlns") || UNSAFE.test(name) || /url\((?!["']?#)/i.test(value)) continue;
    target.setAttribute(name, value);
  }
  for (const node of source.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) target.append(node.nodeValue ?? "");
    else if (node.nodeType === Node.ELEMENT_NODE) {
      const part = copy(node as Element);
      if (part) target.append(part);
    }
  }
  return target;
}

/** Return a picture as an element with safe parts only; null if the text is no picture. */
export function svgElement(text: string): SVGSVGElement | null {
  const { documentElement } = new DOMParser().parseFromString(text, "image/svg+xml");
  if (documentElement.localName !== "svg") return null;
  return copy(documentElement) as SVGSVGElement | null;
}
