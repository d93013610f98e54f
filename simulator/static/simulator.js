// The pages of the simulator: they fetch their changing parts again whenever the server says that something happened.
"use strict";

(() => {
  const facts = document.body.dataset;
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- requests

  async function post(url, body) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await answer.json();
    if (!answer.ok) throw new Error(result.error || `The simulator answered ${answer.status}.`);
    return result;
  }

  function tell(problem) {
    const place = one(".problem");
    place.textContent = problem ? problem.message || String(problem) : "";
    place.hidden = !problem;
  }

  const attempt = (work) => async (...given) => {
    try {
      tell(null);
      await work(...given);
    } catch (problem) {
      tell(problem);
    }
  };

  // -- what changes by itself

  const shown = new Map();
  let busy = false;
  let again = false;

  async function refresh(afterwards) {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(`${location.pathname}/live${location.search}`);
      if (answer.ok) replace(await answer.text());
    } finally {
      busy = false;
    }
    afterwards();
    if (again) {
      again = false;
      refresh(afterwards);
    }
  }

  function replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const part of all("[data-live]", fresh)) {
      const name = part.dataset.live;
      if (shown.get(name) === part.outerHTML) continue;
      shown.set(name, part.outerHTML);
      const old = one(`[data-live="${name}"]`);
      const top = old.scrollTop;
      old.replaceWith(part);
      part.scrollTop = top;
    }
  }

  // A transcript stays at its end while new messages and pictures arrive, unless the reader has scrolled up.
  let atEnd = true;

  function toEnd() {
    const talk = one("[data-scroll]");
    if (atEnd && talk) talk.scrollTop = talk.scrollHeight;
  }

  document.addEventListener("scroll", (event) => {
    const talk = event.target;
    if (talk.dataset && "scroll" in talk.dataset) {
      atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
    }
  }, true);
  document.addEventListener("load", toEnd, true);
  window.addEventListener("resize", toEnd);

  function follow(look) {
    const afterwards = () => {
      look();
      toEnd();
    };
    const stream = new EventSource("/changes");
    const offline = one(".offline");
    stream.onopen = () => { offline.hidden = true; };
    stream.onmessage = () => refresh(afterwards);
    stream.onerror = () => { offline.hidden = false; };
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(afterwards); });
    afterwards();
  }

  // -- writing

  function sendOnEnter(area, form) {
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
  }

  // Tells the other side that somebody writes: at once, again every few seconds, and when it stops.
  function typing(area, tellTyping) {
    let told = 0;
    let timer = 0;
    const stop = () => {
      clearTimeout(timer);
      if (told) tellTyping(false);
      told = 0;
    };
    area.addEventListener("input", () => {
      if (!area.value) return stop();
      if (Date.now() - told > 4000) {
        told = Date.now();
        tellTyping(true);
      }
      clearTimeout(timer);
      timer = setTimeout(stop, 3000);
    });
    return stop;
  }

  function closePopUps() {
    for (const pop of all("details.pop[open]")) pop.open = false;
  }

  document.addEventListener("click", (event) => {
    for (const pop of all("details.pop[open]")) if (!pop.contains(event.target)) pop.open = false;
  });

  // -- the agent's desk

  function base64(file) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(",")[1]);
      reader.onerror = () => reject(new Error("The file could not be read."));
      reader.readAsDataURL(file);
    });
  }

  function button(title, id) {
    return { type: "button", title, click: {
      actions: [{ type: "publishText", text: title }],
      metadata: [{ type: "ExternalId", id }],
    } };
  }

  const FORMS = {
    rich: (value) => ({ do: "rich", content: { type: "vertical", tag: "card", elements: [
      { type: "text", text: value("title"), tag: "title", style: { bold: true, size: "large" } },
      { type: "text", text: value("subtitle"), tag: "subtitle" },
      button(value("button"), `card-${Date.now()}`),
    ] } }),
    choices: (value) => ({ do: "say", text: value("question"), quickReplies: {
      type: "quickReplies",
      itemsPerRow: 3,
      replies: value("choices").split("\n").map((line) => line.trim()).filter(Boolean)
        .map((line, index) => button(line, `choice-${Date.now()}-${index}`)),
    } }),
    transfer: (value) => ({ do: "transfer", ...(value("skill").trim() ? { text: value("skill").trim() } : {}) }),
  };

  function desk() {
    const form = one("#composer");
    const area = one("#text");
    const current = () => new URLSearchParams(location.search).get("c") || facts.conversation;
    const act = (body) => post(
      `/_simulator/accounts/${encodeURIComponent(facts.account)}/conversations/${encodeURIComponent(current())}/agent`,
      body,
    );
    // The desk opened without a conversation: take the first that comes.
    const settle = () => {
      const first = one(".rows a.row");
      if (!current() && first) location.replace(first.href);
    };
    let reading = false;
    const look = async () => {
      settle();
      const talk = one(".talk").dataset;
      form.hidden = !talk.open || (talk.open === "no" && talk.survey === "no");
      form.classList.toggle("survey-only", talk.open === "no");
      form.classList.toggle("joined", talk.joined === "yes");
      const wanted = one("#auto-read").checked && talk.joined === "yes" && talk.unread > 0 && talk.open === "yes";
      if (wanted && !document.hidden && !reading) {
        reading = true;
        try { await act({ do: "read" }); } catch { /* the conversation closed in between */ }
        reading = false;
      }
    };
    const quiet = typing(area, attempt(async (on) => {
      if (one("input[name=mode]:checked").value === "say") await act({ do: on ? "typing" : "stop_typing" });
    }));
    sendOnEnter(area, form);
    form.addEventListener("submit", attempt(async (event) => {
      event.preventDefault();
      const text = area.value.trim();
      if (!text) return;
      await act({ do: one("input[name=mode]:checked").value, text });
      area.value = "";
      quiet();
    }));
    for (const tool of all("[data-act]", form)) {
      tool.addEventListener("click", attempt(() => act({ do: tool.dataset.act })));
    }
    for (const pop of all("[data-form]", form)) {
      const value = (name) => one(`[name=${name}]`, pop).value;
      one("[data-submit]", pop).addEventListener("click", attempt(async () => {
        await act(FORMS[pop.dataset.form](value));
        closePopUps();
      }));
    }
    one("#file").addEventListener("change", attempt(async (event) => {
      const file = event.target.files[0];
      event.target.value = "";
      if (!file) return;
      const fileType = file.name.split(".").pop().toUpperCase();
      await act({ do: "file", content: { caption: file.name, fileType, data: await base64(file) } });
    }));
    one("#auto-read").addEventListener("change", look);
    follow(look);
  }

  // -- the consumer's phone

  function phone() {
    const form = one("#composer");
    const area = one("#text");
    const consumer = JSON.parse(facts.consumer);
    const base = `/_simulator/phones/${encodeURIComponent(facts.key)}`;
    const say = async (body) => {
      const result = await post(`${base}/say`, { consumer, ...body });
      if (result.status >= 200 && result.status < 300) return;
      if (!result.status) throw new Error(result.answer.error);
      const reason = result.answer && (result.answer.detail || result.answer.error || result.answer.code);
      throw new Error(`The connector answered ${result.status}${reason ? `: ${reason}` : "."}`);
    };
    const reported = new Set();
    const look = async () => {
      if (document.hidden) return;
      for (const message of all("[data-unread-id]")) {
        const id = message.dataset.unreadId;
        if (reported.has(id)) continue;
        reported.add(id);
        try { await post(`${base}/say`, { type: "message.status", id, status: "read" }); } catch { /* shown unread */ }
      }
    };
    const quiet = typing(area, async (on) => {
      try { await say({ type: on ? "typing.started" : "typing.stopped" }); } catch { /* only a hint */ }
    });
    sendOnEnter(area, form);
    form.addEventListener("submit", attempt(async (event) => {
      event.preventDefault();
      const text = area.value.trim();
      if (!text) return;
      area.value = "";
      try { await say({ text }); } finally { quiet(); }
    }));
    one("#file").addEventListener("change", attempt(async (event) => {
      const file = event.target.files[0];
      event.target.value = "";
      if (!file) return;
      const answer = await fetch(`${base}/files`, { method: "POST", headers: { "Content-Type": file.type }, body: file });
      const stored = await answer.json();
      if (!answer.ok) throw new Error(stored.error);
      await say({ attachments: [{ url: stored.url, mime: file.type, name: file.name }] });
    }));
    document.addEventListener("click", attempt(async (event) => {
      const choice = event.target.closest("[data-choice]");
      if (choice) await say({ type: "quick_reply.chosen", choice: choice.dataset.choice });
    }));
    one("#end").addEventListener("click", attempt(async () => {
      closePopUps();
      await say({ type: "conversation.closed" });
    }));
    follow(look);
  }

  if (facts.page === "desk") desk();
  if (facts.page === "phone") phone();
})();
