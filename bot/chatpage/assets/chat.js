// Makes the chat page live. Everything it does has a way without it: forms post
// and the page comes back; here they are sent in the background, and what changes
// arrives over one EventSource, rendered by the server.
"use strict";
(() => {
  const body = document.body;
  const byID = (id) => document.getElementById(id);
  const typing = byID("typing"), notice = byID("notice"), light = byID("light");
  const keep = 100; // entries of a log
  let caughtUp = false, typingTimer;

  document.documentElement.classList.add("scripted");

  function node(html) {
    const t = document.createElement("template");
    t.innerHTML = html.trim();
    return t.content.firstElementChild;
  }

  // place puts a piece of the page where it belongs, unless it is there already.
  function place(piece) {
    const old = byID(piece.id);
    if (old && old.dataset.v === piece.v) return;
    const fresh = node(piece.html);
    if (old) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(fresh);
      if (focused) (fresh.matches("a,button") ? fresh : fresh.querySelector("a,button,summary"))?.focus();
      return;
    }
    const list = piece.list && byID(piece.list);
    if (!list) return;
    const before = piece.after && byID(piece.after);
    if (before) before.after(fresh);
    else list.prepend(fresh);
    if (list.id === "messages") arrived(fresh);
    else if (list.id !== "citizens") while (list.children.length > keep) list.lastElementChild.remove();
  }

  function arrived(message) {
    if (!caughtUp) return;
    if ("mine" in message.dataset) toNewest();
    else wait(false);
  }

  function toNewest() {
    document.querySelector(".scroll")?.scrollTo({ top: 0 }); // it runs bottom-up
  }

  // wait shows the dots of somebody who is answering, for as long as that is likely.
  function wait(on) {
    clearTimeout(typingTimer);
    if (!typing) return;
    typing.hidden = !on;
    if (on) typingTimer = setTimeout(() => { typing.hidden = true; }, 8000);
  }

  function tell(text) {
    if (!notice) return;
    notice.textContent = text;
    notice.hidden = !text;
  }

  function connection(on) {
    const text = on ? body.dataset.connected : body.dataset.broken;
    light.className = "light needs-script " + (on ? "on" : "off");
    light.setAttribute("aria-label", text);
    light.title = text;
  }

  // One live connection while the page is looked at: a page in the background has
  // not seen anything.
  let source;
  function connect() {
    if (source || document.hidden || !body.dataset.live) return;
    caughtUp = false;
    source = new EventSource(body.dataset.live);
    source.addEventListener("piece", (e) => place(JSON.parse(e.data)));
    source.addEventListener("ready", () => { caughtUp = true; connection(true); });
    source.addEventListener("error", () => {
      connection(false);
      caughtUp = false;
      if (source.readyState !== EventSource.CLOSED) return;
      source = undefined; // the server refused: try again a little later
      setTimeout(connect, 3000);
    });
  }
  function disconnect() {
    source?.close();
    source = undefined;
  }
  document.addEventListener("visibilitychange", () => document.hidden ? disconnect() : connect());
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);

  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (!form.matches("form[data-live]")) return;
    e.preventDefault();
    const from = e.submitter;
    const address = from?.getAttribute("formaction") || form.getAttribute("action");
    const fields = new URLSearchParams(new FormData(form, from));
    const text = form.classList.contains("say") && byID("text");
    const typed = text && text.value;
    if (text && !typed.trim()) return;
    if (text) text.value = "";
    form.closest("details[open]")?.removeAttribute("open");
    tell("");
    if (form.dataset.live !== "quiet") wait(true); // else nobody is expected to answer
    if (!form.closest(".phone")) byID("phone").scrollIntoView({ block: "nearest" });
    try {
      const answer = await fetch(address, { method: "POST", body: fields, headers: { "X-Live": "1" } });
      if (!answer.ok) throw new Error(await answer.text());
      if (form.closest(".staff")) form.querySelector("textarea").value = "";
    } catch (err) {
      wait(false);
      if (text && !text.value) text.value = typed;
      tell(err.message);
    }
  });

  // Enter sends, Shift+Enter starts a line. Not while an input method composes a
  // letter: Telex and VNI end words with Enter.
  byID("text")?.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    e.target.form.requestSubmit();
  });

  // Sheets close on Escape and on a click beside them.
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    const sheet = document.querySelector(".menu[open]");
    sheet?.removeAttribute("open");
    sheet?.querySelector("summary").focus();
  });
  document.addEventListener("click", async (e) => {
    for (const sheet of document.querySelectorAll(".menu[open]")) {
      if (!sheet.contains(e.target)) sheet.removeAttribute("open");
    }
    const copy = e.target.closest(".copy");
    if (!copy) return;
    const raw = copy.closest(".part").querySelector("pre");
    try {
      await navigator.clipboard.writeText(raw.textContent);
      const label = copy.textContent;
      copy.textContent = body.dataset.copied;
      setTimeout(() => { copy.textContent = label; }, 1500);
    } catch {
      getSelection().selectAllChildren(raw); // no clipboard: ready for Ctrl-C
    }
  });
  // The samples are found with or without accents.
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/gi, "d").toLowerCase();
  byID("find")?.addEventListener("input", (e) => {
    const wanted = plain(e.target.value.trim());
    for (const row of byID("samples").rows) row.hidden = !plain(row.textContent).includes(wanted);
  });
  byID("only")?.addEventListener("change", (e) => byID("panels").classList.toggle("only", e.target.checked));

  connect();
})();
