// The shop: which view, what happens on a button, and what Pathline is told of it.
"use strict";

const goods = JSON.parse(document.getElementById("goods").textContent);
const byNumber = new Map(goods.map((product, number) => [product.sku, number]));
const view = document.getElementById("view");
const VISITOR = /^[0-9a-f]{24}-[0-9a-f]{24}$/;
const become = (visitor) => { // the shop makes the visitor's id, and shows a journey only to who has such a one
  if (!visitor || navigator.globalPrivacyControl) return;
  try { localStorage["pathline.anonymous"] = JSON.stringify(visitor); } catch { /* it is not remembered, then */ }
};
try { if (!VISITOR.test(JSON.parse(localStorage["pathline.anonymous"] ?? '""'))) become(document.body.dataset.visitor); } catch { /* as above */ }
const tell = (...call) => (window.pathline ??= []).push(call); // before the script has come, a list; it takes it over
const ITEMS_MAX = 20;

const keep = {
  read: (name, otherwise) => { try { return JSON.parse(sessionStorage.getItem(name)) ?? otherwise; } catch { return otherwise; } },
  write: (name, value) => { try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* for this view only, then */ } },
};
let cart = keep.read("cart", []), orders = keep.read("orders", {}), checkout = keep.read("checkout", null), ticking = 0;

const items = () => cart.filter((sku) => byNumber.has(sku)).map((sku) => goods[byNumber.get(sku)]);
const asTold = ({ sku, name, price: cost, currency }) => ({ product_id: sku, sku, name, price: cost, currency });
const anonymousId = () => { // a shop knows its visit also where nobody is tracked
  const own = keep.read("visit", `visit-${Date.now()}-${Math.random().toString(36).slice(2)}`);
  keep.write("visit", own);
  return window.pathline?.anonymousId?.() ?? own;
};
const say = (text) => {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { place.textContent = ""; }, 4_000);
};

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000),
  });
  const told = await answer.json();
  if (!told.success) throw new Error(`${told.message} (${told.code})`);
  return told;
}

function setCart(skus) {
  cart = skus.slice(0, ITEMS_MAX);
  keep.write("cart", cart);
  document.getElementById("cart-link").textContent = cart.length ? `Cart (${cart.length})` : "Cart";
}

function show(title, children) {
  document.title = `${title} · The demo shop`;
  view.replaceChildren(...children);
}

const pages = {
  "": () => show("Products", Views.shelf(goods)),

  product: (sku) => {
    const product = goods[byNumber.get(sku)];
    if (!product) return pages.lost();
    show(product.name, Views.product(product, byNumber.get(sku), () => {
      setCart([...cart, sku]);
      tell("track", "Product Added", { ...asTold(product), quantity: 1 });
      go("/cart");
    }));
    tell("track", "Product Viewed", asTold(product));
  },

  cart: () => {
    showCart();
    tell("track", "Cart Viewed", { products: items().map(asTold) });
  },

  checkout: () => {
    if (!items().length) return go("/cart", true);
    if (!checkout) {
      checkout = `co-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
      keep.write("checkout", checkout);
      tell("track", "Checkout Started", { checkout_id: checkout, value: total(items()).toFixed(2), currency: "EUR", products: items().map(asTold) });
    }
    const word = anonymousId().slice(0, 8);
    show("Checkout", Views.checkout(items(), keep.read("known", { name: "You", email: `you.${word}@example.com` }), pay));
  },

  order: (orderId) => {
    const order = orders[orderId];
    if (!order) return pages.lost();
    show("Ordered", Views.order(order, report, (score) => {
      tell("track", "Survey Answered", { survey: "nps", score, scale: 10, order_id: orderId });
      document.getElementById("rating").replaceChildren(make("p", { className: "note" }, `You gave ${score} of 10. Thank you.`));
    }));
    view.dataset.order = orderId;
    count(order);
    ticking = setInterval(() => count(order), 500);
  },

  lost: () => show("Nothing here", Views.lost()),
};

function showCart() {
  show("Cart", Views.cart(items(), (place) => {
    tell("track", "Product Removed", asTold(items()[place]));
    setCart(cart.filter((_, at) => at !== place));
    showCart();
  }));
}

function count(order) {
  const left = Math.round((Date.parse(order.promisedAt) - Date.now()) / 1_000);
  const place = document.getElementById("promise"), done = orders[order.orderId].delivered;
  place.dataset.late = !done && left < 0 ? "yes" : "no";
  place.textContent = done ? "Delivered" : left >= 0 ? `Promised within ${left} s` : `Late by ${-left} s`;
  document.getElementById("hint").textContent = done ? "Nothing about the delivery is open any more."
    : left >= 0 ? "Do nothing, and the promise runs out: an alert comes. Or press a button."
      : "The promise is over, and support has an alert. Press a button.";
}

async function pay(event) {
  event.preventDefault();
  const form = event.target, button = form.querySelector("button"), problem = document.getElementById("problem");
  const name = form.elements.name.value.trim(), email = form.elements.email.value.trim();
  button.disabled = true;
  problem.hidden = true;
  keep.write("known", { name, email });
  tell("identify", null, { name, email });
  tell("track", "Payment Info Entered", { checkout_id: checkout });
  try {
    const told = await ask("/api/pay", { anonymousId: anonymousId(), checkoutId: checkout, email, items: cart, fail: form.elements.fail.checked });
    if (!told.paid) throw new Error("The bank declined the payment. Try again, with or without the failure.");
    orders = { ...orders, [told.order.orderId]: told.order };
    keep.write("orders", orders);
    checkout = null;
    keep.write("checkout", null);
    setCart([]);
    go(`/order/${told.order.orderId}`);
  } catch (trouble) {
    problem.textContent = trouble.message;
    problem.hidden = false;
    button.disabled = false;
    tell("track", "Error Shown", { message_code: "payment", page: location.pathname, during: "checkout" });
  }
}

async function report(event) {
  const button = event.currentTarget, what = button.dataset.what, orderId = view.dataset.order;
  button.disabled = true;
  try {
    await ask("/api/tell", { anonymousId: anonymousId(), orderId, what });
    if (what === "delivered") {
      orders[orderId].delivered = true;
      keep.write("orders", orders);
      count(orders[orderId]);
    }
    say(`Told: ${button.textContent.toLowerCase()}`);
  } catch (trouble) {
    say(trouble.message);
  }
  button.disabled = false;
}

function render(focus) {
  clearInterval(ticking);
  const [name, id] = location.pathname.slice(1).split("/");
  (pages[name] ?? pages.lost)(id ?? "");
  if (!focus) return;
  scrollTo(0, 0);
  const title = view.querySelector("h1");
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

function go(path, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  render(true);
}

document.addEventListener("click", (event) => {
  const to = event.target.closest("a[data-link]");
  if (!to || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  if (to.pathname !== location.pathname) go(to.getAttribute("href")); // to look at the same again is nothing new
});
addEventListener("popstate", () => render(true));
setCart(cart);
render(false);
