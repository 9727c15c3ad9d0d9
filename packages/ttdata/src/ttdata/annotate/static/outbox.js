// Events on their way to the server: kept in IndexedDB until it has them, sent one by one in order.

/**
 * @typedef {{uuid: string} & Record<string, unknown>} Item
 * @typedef {{pending: number, problem: string | null, stored: boolean}} OutboxState
 * stored: whether waiting items survive the page
 */

/** The server has answered that it will never take this item: it is not sent again. */
export class Refused extends Error {}

/** The server wants a pause before the next item. */
export class Later extends Error {
  /** @param {string} message @param {number} ms */
  constructor(message, ms) {
    super(message);
    this.ms = ms;
  }
}

const STORE = "items";
const KEY = ["order", "item.uuid"]; // two tabs count apart: neither may overwrite what the other one keeps
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const LAST_BYTES = 60_000; // browsers take 64 KiB from a page that goes, in all its requests
const NEW = ["mark_made", "seen"]; // kinds that build on nothing that waits

export class Outbox {
  /** @type {IDBDatabase | null} */ #database = null;
  /** @type {Array<{order: number, item: Item}>} */ #queue = []; // as in the database
  /** @type {Set<number>} */ #unwritten = new Set(); // orders of items that are not on the disk yet
  #order = 0;
  #running = false;
  #closed = false;
  /** @type {string | null} */ #problem = null;
  /** @type {(() => void) | null} */ #wake = null;

  /**
   * @param {{name: string, send: (item: Item) => Promise<void>, refused?: (item: Item, error: Error) => void,
   *   changed?: (state: OutboxState) => void, firstWait?: number}} options
   * name: of the database, another one per person and video; send: resolves once the server has the
   * item, throws Refused if it never will, Later after a pause, anything else to be called again
   */
  constructor({ name, send, refused = () => {}, changed = () => {}, firstWait = FIRST_WAIT_MS }) {
    this.name = name;
    this.send = send;
    this.refused = refused;
    this.changed = changed;
    this.firstWait = firstWait;
    this.onOnline = () => this.#wake?.();
  }

  /** Begin with what an earlier page left. Without IndexedDB items live as long as the page. */
  async open() {
    try {
      this.#database = await openDatabase(this.name);
      this.#queue = await allOf(this.#database);
      this.#order = (this.#queue.at(-1)?.order ?? 0) + 1;
    } catch (error) {
      this.#problem = `This browser keeps nothing: ${error}`;
    }
    addEventListener("online", this.onOnline);
    this.#tell();
    this.#run();
    return this;
  }

  get state() { return { pending: this.#queue.length, problem: this.#problem, stored: this.#database !== null }; }

  /** Items that the server does not have yet, oldest first. */
  get waiting() { return this.#queue.map(({ item }) => item); }

  /**
   * What a page that goes hands over at once, oldest first: all that waits, where some of it is not
   * on the disk yet, as nobody else will send that. Where all is too much, only what is not on the
   * disk, and of this nothing that builds on what stays behind.
   * @param {number} taken bytes of what was handed over and has not arrived
   */
  last(taken = 0) {
    const room = LAST_BYTES - taken;
    if (this.#unwritten.size === 0) return [];
    if (sizeOf(this.waiting) <= room) return this.waiting;
    /** @type {Item[]} */ const found = [];
    let isAhead = false; // of something that stays behind
    for (const { order, item } of this.#queue) {
      if (!this.#unwritten.has(order)) isAhead = true;
      else if (!isAhead || NEW.includes(kindOf(item))) found.push(item);
    }
    while (found.length > 0 && sizeOf(found) > room) found.pop();
    return found;
  }

  /** Resolves once the item is on the disk. @param {Item} item */
  async put(item) {
    const entry = { order: this.#order, item };
    this.#order += 1;
    this.#queue.push(entry);
    this.#unwritten.add(entry.order);
    this.#tell();
    const written = this.#database === null ? null : change(this.#database, (store) => store.put(entry));
    this.#run();
    await written;
    if (written !== null) this.#unwritten.delete(entry.order);
  }

  /** Stop sending; what waits stays where it is. */
  close() {
    this.#closed = true;
    removeEventListener("online", this.onOnline);
    this.#wake?.();
    this.#database?.close();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    let wait = this.firstWait;
    while (this.#queue.length > 0 && !this.#closed) {
      const entry = this.#queue[0];
      try {
        await this.send(entry.item);
        this.#problem = null;
      } catch (error) {
        if (!(error instanceof Refused)) {
          this.#problem = String(error instanceof Error ? error.message : error);
          this.#tell();
          await this.#pause(error instanceof Later ? error.ms : wait);
          wait = Math.min(2 * wait, LONGEST_WAIT_MS);
          continue;
        }
        this.refused(entry.item, error);
      }
      wait = this.firstWait;
      if (this.#closed) break; // sent again by the next page: the server knows it by its uuid
      // What stays in the database is sent again by the next page, and known there by its uuid.
      if (this.#database !== null) {
        await change(this.#database, (store) => store.delete([entry.order, entry.item.uuid])).catch((error) => {
          this.#problem = `This browser keeps nothing: ${error}`;
        });
      }
      this.#queue.shift();
      this.#unwritten.delete(entry.order);
      this.#tell();
    }
    this.#running = false;
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => { clearTimeout(timer); resolve(null); };
    });
  }

  #tell() { this.changed(this.state); }
}

/** In bytes, as JSON. @param {Item[]} items */
export const sizeOf = (items) => new TextEncoder().encode(JSON.stringify(items)).length;

/** @param {Item} item */
const kindOf = ({ body }) => /** @type {{kind: string}} */ (body).kind;

/** @param {string} name @returns {Promise<IDBDatabase>} */
function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: KEY });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBDatabase} database @returns {Promise<Array<{order: number, item: Item}>>} by order */
function allOf(database) {
  return new Promise((resolve, reject) => {
    const request = database.transaction(STORE).objectStore(STORE).getAll();
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBDatabase} database @param {(store: IDBObjectStore) => void} action @returns {Promise<void>} */
function change(database, action) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, "readwrite", { durability: "strict" });
    action(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}
