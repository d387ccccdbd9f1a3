// What the shop shows: elements are made, text is set as text, and nothing that came from outside becomes markup.
"use strict";

const Icons = {
  Lamp: "M8 21h8M12 21v-7M6 14h12L15 4H9z",
  Kettle: "M6 9h10v9a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2zM16 12l4-3M8 9a3.5 3.5 0 0 1 6 0M11 5v1",
  Chair: "M7 3v18M17 13v8M7 13h10M7 3h2v10",
  Blanket: "M4 6h16v12H4zM4 10h16M4 14h16M7 18v2M12 18v2M17 18v2",
  Teapot: "M6 10h11v5a4 4 0 0 1-4 4h-3a4 4 0 0 1-4-4zM17 11h2a2 2 0 0 1 0 4h-2M6 13l-3-3M9 10a3 3 0 0 1 5 0M11.500 6v1",
  Shelf: "M4 4v16M20 4v16M4 9h16M4 16h16M8 9V5M11 9V5M15 16v-4",
  Mirror: "M12 3a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM12 15v6M8 21h8",
  Backpack: "M7 9a5 5 0 0 1 10 0v10a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2zM10 4V3h4v1M9 14h6v4H9z",
  Clock: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM12 7v5l3 2",
  Basket: "M4 10h16l-2 10H6zM8 10l4-7 4 7M10 14v3M14 14v3",
};
const SVG = "http://www.w3.org/2000/svg";
const WORTH = new Intl.NumberFormat(navigator.language, { style: "currency", currency: "EUR" });

/** An element: its properties (`on…` are listeners, `data` its data attributes), then its children, text or elements. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const link = (href, className, ...children) => make("a", { href, className, data: { link: "" } }, ...children);
const price = (product) => WORTH.format(Number(product.price));
const total = (items) => items.reduce((sum, product) => sum + Number(product.price), 0);

function tile(product, number) {
  const box = make("div", { className: "tile", "aria-hidden": "true" });
  box.style.setProperty("--hue", String((number * 47 + 20) % 360));
  const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  path.setAttribute("d", Icons[product.name.split(" ").pop()] ?? Icons.Basket);
  svg.append(path);
  box.append(svg);
  return box;
}

const Views = {
  shelf: (goods) => [
    make("h1", {}, "Be a customer for a minute"),
    make("p", { className: "lead" },
      "Look at something, buy it, and let things go wrong. Beside the shop you see your own journey grow, as the ",
      "support team sees it."),
    make("ul", { className: "goods" }, goods.map((product, number) => make("li", {},
      link(`/product/${product.sku}`, "", tile(product, number),
        make("span", { className: "name" }, product.name), make("span", { className: "price" }, price(product)))))),
  ],

  product: (product, number, add) => [
    link("/", "quiet", "All products"),
    make("div", { className: "product" }, tile(product, number),
      make("div", {}, make("h1", {}, product.name), make("p", { className: "price" }, price(product)),
        make("button", { className: "main", type: "button", id: "add", onclick: add }, "Add to cart"))),
  ],

  cart: (items, remove) => items.length === 0
    ? [make("h1", {}, "Your cart is empty"), make("p", { className: "lead" }, "Put something in first."),
      make("div", { className: "row" }, link("/", "button main", "See the products"))]
    : [make("h1", {}, "Your cart"),
      make("ul", { className: "lines" },
        items.map((product, place) => make("li", {}, make("span", {}, product.name),
          make("span", { className: "price" }, price(product), " ",
            make("button", { type: "button", onclick: () => remove(place), "aria-label": `Remove ${product.name}` }, "Remove")))),
        make("li", { className: "total" }, make("span", {}, "Total"), make("span", {}, WORTH.format(total(items))))),
      make("div", { className: "row" }, link("/checkout", "button main", "Check out"), link("/", "button", "Look further"))],

  checkout: (items, known, pay) => [
    make("h1", {}, `Pay ${WORTH.format(total(items))}`),
    make("p", { className: "lead" }, "No card is needed; the bank is played too. The mailbox is made up: change it or not."),
    make("form", { onsubmit: pay, id: "pay" },
      make("label", {}, "Name", make("input", { type: "text", name: "name", value: known.name, required: true, maxLength: 100, autocomplete: "off" })),
      make("label", {}, "Email", make("input", { type: "email", name: "email", value: known.email, required: true, maxLength: 200, autocomplete: "off" })),
      make("label", { className: "check" }, make("input", { type: "checkbox", name: "fail" }), "Let the payment fail"),
      make("p", { className: "note bad", id: "problem", role: "alert", hidden: true }),
      make("button", { className: "main", type: "submit" }, "Pay")),
  ],

  order: (order, tell, rate) => [
    make("h1", {}, "Thank you, it is ordered"),
    make("p", { className: "lead" }, `Order ${order.orderId}, ${WORTH.format(Number(order.total))}.`),
    make("div", { className: "note" },
      make("p", { className: "promise", id: "promise", role: "timer" }), make("p", { className: "quiet", id: "hint" })),
    make("fieldset", {}, make("legend", {}, "The courier"),
      make("div", { className: "row" },
        make("button", { type: "button", onclick: tell, data: { what: "late" } }, "The courier is late"),
        make("button", { type: "button", onclick: tell, data: { what: "lost" } }, "The courier lost it"),
        make("button", { type: "button", onclick: tell, data: { what: "delivered" } }, "The courier delivers it"))),
    make("fieldset", {}, make("legend", {}, "You and the contact centre"),
      make("div", { className: "row" },
        make("button", { type: "button", onclick: tell, data: { what: "call" } }, "Call support"),
        make("button", { type: "button", onclick: tell, data: { what: "solved" } }, "Support solves it"))),
    make("fieldset", { id: "rating" }, make("legend", {}, "Would you recommend the shop?"),
      make("div", { className: "score" }, Array.from({ length: 11 }, (_, score) =>
        make("button", { type: "button", onclick: () => rate(score), "aria-label": `${score} of 10` }, String(score)))),
      make("p", { className: "quiet" }, "0 not at all, 10 by all means")),
    make("div", { className: "row" }, link("/", "button", "Buy something else")),
  ],

  lost: () => [make("h1", {}, "There is nothing here"), make("div", { className: "row" }, link("/", "button main", "See the products"))],
};
