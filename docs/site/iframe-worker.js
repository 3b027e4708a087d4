// Search from disk: browsers allow no Worker to a page opened as a file, so its script runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.documentElement.append(frame)
      const inside = frame.contentWindow
      const answer = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = inside.document.createElement("script")
      this.ready = new Promise(done => script.addEventListener("load", done))
      inside.postMessage = data => setTimeout(answer, 0, data)
      script.src = new URL(url, location).href
      inside.document.documentElement.append(script)
      this.inside = inside
      this.frame = frame
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data })))
    }

    set onmessage(listener) {
      this.addEventListener("message", listener)
    }

    terminate() {
      this.frame.remove()
    }
  }
}
