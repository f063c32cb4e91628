// Kept: what this browser remembers as JSON, in its localStorage or, for one tab, in its sessionStorage. Where it may not
// (a private window, a full store), nothing is remembered and nothing breaks.
export const read = (key, store = "localStorage") => { try { return JSON.parse(window[store].getItem(key)) } catch { return null } };
export const write = (key, value, store = "localStorage") => { try { value ? window[store].setItem(key, JSON.stringify(value)) : window[store].removeItem(key) } catch {} };
