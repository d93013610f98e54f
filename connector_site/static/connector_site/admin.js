// What the admin's pages need beside the library's scripts: copying, and times and charts in the reader's own zone.
"use strict";

(() => {
    const two = (number) => String(number).padStart(2, "0");

    // The server writes UTC, which stays in the title; here it becomes the reader's own time.
    const showLocally = (element) => {
        const at = new Date(element.dateTime);
        if (Number.isNaN(at.getTime())) return;
        const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
        const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
        element.textContent = element.dataset.form === "time" ? time : `${day} ${time}`;
    };

    // A chart's moments, before the library draws it: the labels that came with it are in UTC.
    const labelLocally = (canvas) => {
        const data = JSON.parse(canvas.dataset.value);
        if (!data.times || data.span >= 86400) return; // days are those of UTC
        data.labels = data.times.map((time) => {
            const at = new Date(time);
            const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
            return data.times.length > 48 ? `${two(at.getDate())}.${two(at.getMonth() + 1)}. ${clock}` : clock;
        });
        canvas.dataset.value = JSON.stringify(data);
    };

    // A time is entered as the reader's own clock shows it; beside it goes how far that is ahead of UTC on that day.
    const askInOwnZone = (input) => {
        const offset = input.form.elements[`${input.name}_offset`];
        const tell = () => {
            const at = input.value ? new Date(input.value) : new Date();
            if (!Number.isNaN(at.getTime())) offset.value = -at.getTimezoneOffset();
        };
        input.addEventListener("input", tell);
        tell();
        const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
        input.form.querySelectorAll("[data-zone]").forEach((word) => { word.textContent = zone; });
    };

    const copy = async (button) => {
        const source = document.getElementById(button.dataset.copy) ?? button.previousElementSibling;
        const text = source.value ?? source.textContent;
        try {
            await navigator.clipboard.writeText(text);
        } catch {
            // Without TLS there is no clipboard: select it, so that the reader's own key copies it.
            const range = document.createRange();
            range.selectNodeContents(source);
            const selection = window.getSelection();
            selection.removeAllRanges();
            selection.addRange(range);
            if (!document.execCommand("copy")) return;
        }
        const told = button.firstElementChild ?? button; // a sign, where there is no word
        const label = told.textContent;
        told.textContent = told === button ? "Copied" : "check";
        window.setTimeout(() => { told.textContent = label; }, 1500);
    };

    const showAllLocally = (root) => root.querySelectorAll("time.cs-time").forEach(showLocally);

    // What comes into the page later, by following a conversation or by a choice, has times in it as well.
    const followTheContent = () => new MutationObserver((changes) => changes.forEach(({addedNodes}) => addedNodes.forEach((node) => {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        if (node.matches("time.cs-time")) showLocally(node);
        showAllLocally(node);
    }))).observe(document.body, {childList: true, subtree: true});

    // A table that is wider than the screen is moved by the arrow keys, too.
    const letTablesBeReached = () => document.querySelectorAll(".cs-scroll, .cs-block, [data-simplebar] .simplebar-content-wrapper").forEach((element) => {
        if (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight) element.tabIndex = 0;
    });

    // A part that asks for itself again and again does so only while somebody looks at the page.
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (event.detail.elt.matches("[data-while-seen]") && document.hidden) event.preventDefault();
    });
    document.addEventListener("visibilitychange", () => {
        if (document.hidden) return;
        document.querySelectorAll("[data-while-seen]").forEach((part) => window.htmx.trigger(part, "look"));
    });
    document.addEventListener("htmx:beforeSwap", (event) => {
        // Signed out meanwhile: the answer is the page to sign in, and does not belong into this one.
        const { elt, xhr, pathInfo } = event.detail;
        if (!elt.matches("[data-while-seen]") || !xhr.responseURL || xhr.responseURL.includes(pathInfo.requestPath)) return;
        event.detail.shouldSwap = false;
        window.location.reload();
    });

    document.addEventListener("DOMContentLoaded", () => {
        showAllLocally(document);
        document.querySelectorAll("canvas.chart[data-value]").forEach(labelLocally);
        document.querySelectorAll("#nav-sidebar a.active").forEach((link) => link.setAttribute("aria-current", "page"));
        document.querySelectorAll("input[data-in-own-zone]").forEach(askInOwnZone);
        followTheContent();
        letTablesBeReached();
        // Of a form that stands far below, what is wrong with it; the top of the page says that nothing was stored.
        document.querySelector("p.errornote")?.scrollIntoView({block: "center"});
        document.addEventListener("click", (event) => {
            const button = event.target.closest("[data-copy], [data-copy-near]");
            if (button) copy(button);
        });
    });
})();
