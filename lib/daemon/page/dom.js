/** How is an element made? Texts come from users, so they are only ever set as texts: nothing here reads markup. */

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * The element of the page with that id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Sets a text where it is another one, so that nobody is told what did not change.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Sets an attribute where it is another one; undefined removes it.
 * @param {Element} node
 * @param {string} name
 * @param {string | undefined} value
 */
export function setAttribute(node, name, value) {
  if (value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Makes the children exactly these, in this order, and moves as few as it can; whatever has the focus keeps it.
 * @param {Element} parent
 * @param {readonly Element[]} wanted
 */
export function arrange(parent, wanted) {
  const focused = document.activeElement;
  let next = parent.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  while (next) {
    const rest = next.nextElementSibling;
    next.remove();
    next = rest;
  }
  if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused))
    focused.focus({preventScroll: true});
}

/**
 * Elements of a list that grows and shrinks: each is made once for its key, and goes with it.
 * @template Item
 * @template {{readonly element: Element, update(item: Item): void}} View
 */
export class Keyed {
  /** @type {Map<string, View>} */
  #views = new Map();
  #make;

  /** @param {(key: string) => View} make */
  constructor(make) {
    this.#make = make;
  }

  /**
   * One view for each item, up to date, in their order; those of others are forgotten.
   * @param {readonly (readonly [string, Item])[]} items
   * @returns {View[]}
   */
  show(items) {
    const before = this.#views;
    this.#views = new Map();
    for (const [key, item] of items) {
      const view = before.get(key) ?? this.#make(key);
      view.update(item);
      this.#views.set(key, view);
    }
    return [...this.#views.values()];
  }
}
