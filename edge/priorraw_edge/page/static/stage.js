// Where the picture lies: fitted, zoomed, moved; and the divider between photograph and RAW.

const MOST = 8;

export class Stage {
  /** `changed()` is called when the divider moved; `picked(x, y)` with view pixels, while a grey is being picked. */
  constructor(stage, sheet, divider, tags, { changed, picked }) {
    Object.assign(this, { stage, sheet, divider, tags, changed, picked, split: 0.5, picking: false, width: 3, height: 2 });
    this.zoom = 1;
    this.left = this.top = 0;
    this.pointers = new Map();
    new ResizeObserver(() => this.fit()).observe(stage);
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.up(event));
    stage.addEventListener("dblclick", (event) => this.closer(this.zoom > 1 ? 1 / this.zoom : 3, event));
    divider.addEventListener("keydown", (event) => this.key(event));
  }

  /** The whole picture of this size. */
  show(width, height) {
    Object.assign(this, { width, height, zoom: 1 });
    this.stage.style.setProperty("--aspect", width / height);
    this.fit();
  }

  fit() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width) return;
    this.base = Math.min(box.width / this.width, box.height / this.height);
    this.sheet.style.width = `${this.width}px`;
    this.sheet.style.height = `${this.height}px`;
    this.place(this.left, this.top);
  }

  /** Move to, as far as the picture allows: it stays in the middle while it is smaller than the stage. */
  place(left, top) {
    const box = this.stage.getBoundingClientRect();
    const scale = this.base * this.zoom;
    const held = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at)));
    this.left = held(left, this.width * scale, box.width);
    this.top = held(top, this.height * scale, box.height);
    this.sheet.style.transform = `translate(${this.left}px, ${this.top}px) scale(${scale})`;
    this.placeDivider();
  }

  /** The divider over the picture's height, and the names in its upper corners. */
  placeDivider() {
    const { clientWidth: W, clientHeight: H } = this.stage;
    const scale = this.base * this.zoom;
    const within = (at, most) => Math.max(0, Math.min(most, at));
    const left = within(this.left, W), right = within(this.left + this.width * scale, W), top = within(this.top, H);
    const at = within(this.left + this.split * this.width * scale, W);
    this.divider.style.transform = `translate(${at}px, ${top}px)`;
    this.divider.style.height = `${within(this.top + this.height * scale, H) - top}px`;
    this.divider.setAttribute("aria-valuenow", Math.round(this.split * 100));
    const [first, second] = this.tags;
    first.style.transform = `translate(${left + 12}px, ${top + 12}px)`;
    second.style.transform = `translate(calc(${right - 12}px - 100%), ${top + 12}px)`;
  }

  setSplit(split) {
    this.split = Math.max(0, Math.min(1, split));
    this.placeDivider();
    this.changed();
  }

  closer(factor, event = null) {
    const box = this.stage.getBoundingClientRect();
    const x = event ? event.clientX - box.left : box.width / 2, y = event ? event.clientY - box.top : box.height / 2;
    const before = this.zoom;
    this.zoom = Math.max(1, Math.min(MOST / Math.min(1, this.base), this.zoom * factor));
    const ratio = this.zoom / before;
    this.place(x - (x - this.left) * ratio, y - (y - this.top) * ratio);
  }

  wheel(event) {
    event.preventDefault();
    this.closer(2 ** (-event.deltaY / 300), event);
  }

  down(event) {
    if (event.button || event.target.closest("#progress")) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (this.picking) {
      const box = this.sheet.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.width, y = ((event.clientY - box.top) / box.height) * this.height;
      if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.picked(Math.floor(x), Math.floor(y));
      return;
    }
    const mode = document.body.dataset.mode === "compare";
    this.holding = event.target.closest("#divider") || (mode && this.zoom === 1) ? "divider" : "picture";
    if (this.holding === "divider" && this.pointers.size === 1) this.follow(event);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || this.picking) return;
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers.values()].filter((p) => p.pointerId !== event.pointerId);
      const apart = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.closer(apart(event) / Math.max(1, apart(before)), middle);
    } else if (this.holding === "divider") {
      this.follow(event);
    } else {
      this.place(this.left + event.clientX - before.clientX, this.top + event.clientY - before.clientY);
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }

  follow(event) {
    const box = this.sheet.getBoundingClientRect();
    this.setSplit((event.clientX - box.left) / box.width);
  }

  key(event) {
    const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.setSplit(this.split + steps[event.key]);
  }
}
