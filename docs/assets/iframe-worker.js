// The search of the site when it is opened from disk. There browsers start no worker, so the search's script runs in a
// hidden frame instead. "iframe-worker" in this file's name keeps the theme's `offline` plugin from loading a
// script of that name from the network.
"use strict";

if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html>";
      this.ready = new Promise((resolve) => this.frame.addEventListener("load", resolve, { once: true })).then(() => {
        const inside = this.frame.contentWindow;
        // A window's own postMessage would bring its answers back to itself.
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        const script = inside.document.createElement("script");
        script.src = address;
        const loaded = new Promise((resolve) => script.addEventListener("load", resolve));
        inside.document.head.append(script);
        return loaded;
      });
      document.body.append(this.frame);
    }

    postMessage(data) {
      this.ready.then(() => {
        const inside = this.frame.contentWindow;
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      });
    }

    terminate() {
      this.frame.remove();
    }
  };
}
