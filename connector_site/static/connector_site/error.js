// An error page follows the theme that somebody chose in the admin, whose own scripts it does without.
"use strict";

(() => {
    let chosen = "";
    try {
        chosen = JSON.parse(window.localStorage.getItem("_x_adminTheme") ?? window.localStorage.getItem("adminTheme") ?? '""');
    } catch {
        // No storage, or something else in it: the browser's own theme it is.
    }
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
