// A transcript that follows its conversation. htmx asks and puts the answer in place; here stands when it does not ask.
"use strict";

(() => {
    const NEAR_THE_END_PX = 160;
    let wasAtTheEnd = false;

    const live = () => document.querySelector("[data-live]");
    const tell = (text) => {
        const status = document.querySelector("[data-live-status]");
        if (status && status.textContent !== text) status.textContent = text;
    };
    // The page of one message has parts that look again, and no end to stay at.
    const isAtTheEnd = () => {
        const shown = document.getElementById("live");
        return Boolean(shown) && shown.getBoundingClientRect().bottom - window.innerHeight < NEAR_THE_END_PX;
    };

    document.addEventListener("htmx:beforeRequest", (event) => {
        const asking = event.detail.elt;
        const isHidden = asking.matches("[data-live]") && document.hidden;
        const isShut = asking.matches("[data-while-open]") && !asking.closest("details").open;
        if (isHidden || isShut) event.preventDefault();
    });

    // Whoever comes back to the page sees at once what was said meanwhile.
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && live()) window.htmx.trigger(live(), "look");
    });

    document.addEventListener("htmx:beforeSwap", (event) => {
        if (!event.detail.elt.matches("[data-live], [data-while-open]")) return;
        // Signed out meanwhile: the answer is the page to sign in, and does not belong into this one.
        const asked = event.detail.pathInfo.requestPath.split("?")[0];
        const answered = event.detail.xhr.responseURL;
        if (answered && new URL(answered).pathname !== asked) {
            event.detail.shouldSwap = false;
            window.location.reload();
        }
        wasAtTheEnd = isAtTheEnd();
    });

    document.addEventListener("htmx:afterSettle", (event) => {
        const shown = document.getElementById("live");
        if (event.detail.elt === shown && wasAtTheEnd) shown.scrollIntoView({ block: "end" });
    });

    document.addEventListener("htmx:afterRequest", (event) => {
        if (!event.detail.elt.matches("[data-live]")) return;
        tell(event.detail.successful ? "New messages show by themselves." : "The site does not answer; this page asks again.");
    });
})();
