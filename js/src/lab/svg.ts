// Pictures of charts as elements of the page: they take its colours and fonts, and screen readers read their marks.

/** Elements that a picture may have: none that loads, runs or styles anything. */
const TAGS = new Set(
  "svg g path rect circle ellipse line polyline polygon text tspan title desc defs clipPath linearGradient stop".split(
    " ",
  ),
);

/** Attributes with an address or code, which a picture may not have. */
const UNSAFE = /^on|href$|^style$|^src$/i;

/** Copy an element and what is in it, as far as it is safe; `namespace` is that of pictures. */
function copy(source: Element, namespace: string | null): Element | null {
  if (!TAGS.has(source.localName)) return null;
  const target = document.createElementNS(namespace, source.localName);
  for (const { name, value } of source.attributes) {
    // url(#name) points into the picture; anything else would load.
    if (name.startsWith("xmlns") || UNSAFE.test(name) || /url\((?!["']?#)/i.test(value)) continue;
    target.setAttribute(name, value);
  }
  for (const node of source.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) target.append(node.nodeValue ?? "");
    else if (node.nodeType === Node.ELEMENT_NODE) {
      const part = copy(node as Element, namespace);
      if (part) target.append(part);
    }
  }
  return target;
}

/** Return a picture as an element with safe parts only; null if the text is no picture. */
export function svgElement(text: string): SVGSVGElement | null {
  const { documentElement } = new DOMParser().parseFromString(text, "image/svg+xml");
  if (documentElement.localName !== "svg") return null;
  // The parser of HTML knows the namespace.
  const sample = new DOMParser().parseFromString("<svg>", "text/html").body.firstElementChild;
  return copy(documentElement, sample?.namespaceURI ?? null) as SVGSVGElement | null;
}
