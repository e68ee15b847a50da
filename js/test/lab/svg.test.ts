// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { svgElement } from "../../src/lab/svg.ts";

const SVG = 'xmlns="http://www.w3.org/2000/svg"';

/** The picture of some content, as text. */
const drawn = (content: string): string => svgElement(`<svg ${SVG}>${content}</svg>`)?.outerHTML ?? "";

test("a picture keeps its shapes, words and attributes", () => {
  const text = drawn(
    '<g role="img" aria-label="a bar"><path d="M0,0h5" fill="currentColor"/><text>5 %</text></g>',
  );
  expect(text).toContain('aria-label="a bar"');
  expect(text).toContain('d="M0,0h5"');
  expect(text).toContain("5 %");
});

test.each([
  "script",
  "style",
  "image",
  "use",
  "foreignObject",
  "a",
  "animate",
  "set",
  "iframe",
  "feImage",
  "filter",
])("an element <%s> is left out with everything in it", (name) => {
  const text = drawn(`<rect/><${name}><text>inside</text></${name}><circle/>`);
  expect(text).not.toContain(name === "a" ? "<a" : name);
  expect(text).not.toContain("inside");
  expect(text).toContain("rect");
  expect(text).toContain("circle");
});

test.each([
  'onclick="steal()"',
  'ONLOAD="steal()"',
  'style="background:red"',
  'href="http://elsewhere.invalid/steal"',
  'src="steal.png"',
  'fill="url(http://elsewhere.invalid/steal)"',
  'fill="URL( steal.svg#a )"',
])("an attribute that loads or runs something is left out: %s", (attribute) => {
  const text = drawn(`<rect ${attribute} width="3"/>`);
  expect(text).toContain('width="3"');
  expect(text).not.toMatch(/steal|style|onclick/i);
});

test("an address with a prefix is left out as well", () => {
  const text = svgElement(
    `<svg ${SVG} xmlns:xlink="http://www.w3.org/1999/xlink"><rect xlink:href="#steal" width="3"/></svg>`,
  );
  expect(text?.outerHTML).toContain('width="3"');
  expect(text?.outerHTML).not.toContain("steal");
});

test.each(["url(#part)", "url('#part')", 'url("#part")'])("%s, a part of the picture, stays", (address) => {
  const quote = address.includes('"') ? "'" : '"';
  expect(
    svgElement(`<svg ${SVG}><rect fill=${quote}${address}${quote}/></svg>`)
      ?.querySelector("rect")
      ?.getAttribute("fill"),
  ).toBe(address);
});

test.each([
  "",
  "no picture",
  "<p>no picture</p>",
  "<html><svg></svg></html>",
  `<text ${SVG}>no picture</text>`,
])("%j is no picture", (text) => {
  expect(svgElement(text)).toBeNull();
});
