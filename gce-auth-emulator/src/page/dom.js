/* Elements, and lists that are changed in place: what has the focus or the pointer stays. */

export const $ = (id) => document.getElementById(id);

export function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function button(text, title, act) {
  const element = make("button", "", text);
  element.type = "button";
  if (title) element.title = title;
  element.addEventListener("click", act);
  return element;
}

/* Writes a text only if it is another: a selection in it stays. */
export function write(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/* Brings a list to these items. Each has a key; its element is made once, updated, and removed when the item is gone. If
   that had the focus, the next element gets it. */
export function keep(list, items, key, create, update) {
  const known = new Map([...list.children].map((element) => [element.dataset.key, element]));
  let previous = null;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (element) {
      known.delete(name);
    } else {
      element = create(item);
      element.dataset.key = name;
    }
    const place = previous ? previous.nextElementSibling : list.firstElementChild;
    if (place !== element && !(element.parentNode === list && known.has(place?.dataset.key))) list.insertBefore(element, place);
    update(element, item);
    previous = element;
  }
  for (const element of known.values()) remove(element);
}

export function remove(element) {
  const focused = element.contains(document.activeElement);
  const heir = element.nextElementSibling || element.previousElementSibling;
  const list = element.parentNode;
  element.remove();
  if (!focused) return;
  const next = heir && heir.querySelector("button, input, summary");
  if (next) {
    next.focus();
  } else {
    list.tabIndex = -1;
    list.focus();
  }
}

let saying = 0;

/* Tells the person something for some seconds. */
export function say(text) {
  $("said").textContent = text;
  $("said").classList.add("on");
  clearTimeout(saying);
  saying = setTimeout(() => $("said").classList.remove("on"), 4000);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("copied");
  } catch {
    say("the browser did not allow it");
  }
}

export function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
