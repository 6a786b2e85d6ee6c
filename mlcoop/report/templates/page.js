"use strict";
(function () {
  const root = document.documentElement;
  const all = (what, where) => Array.from((where || document).querySelectorAll(what));

  // Light and dark: follow the system until the reader chooses.
  const theme = document.getElementById("theme");
  if (theme) {
    theme.hidden = false;
    theme.addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
  }
  // Paper is white. A long ranking prints its first rows as a picture and all of them as a table,
  // since a picture of every row would be too small to read; no warning stays folded away.
  let chosen;
  let opened = [];
  addEventListener("beforeprint", () => {
    chosen = root.dataset.theme;
    root.dataset.theme = "light";
    opened = all("#factors-ranking details:not([open]), #warnings details:not([open])");
    opened.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => {
    if (chosen) { root.dataset.theme = chosen; } else { delete root.dataset.theme; }
    opened.forEach((d) => { d.open = false; });
  });

  // Tips follow the pointer.
  const tip = document.createElement("div");
  tip.id = "tip";
  document.body.append(tip);
  const hide = () => { tip.style.visibility = "hidden"; };
  document.addEventListener("pointermove", (event) => {
    const at = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (!at) { hide(); return; }
    tip.textContent = at.dataset.tip;
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18 + tip.offsetHeight < innerHeight;
    tip.style.left = Math.max(8, x) + "px";
    tip.style.top = (below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12) + "px";
    tip.style.visibility = "visible";
  });
  document.addEventListener("scroll", hide, { passive: true });

  // Long rankings start folded.
  function fold(svg, on) {
    const width = svg.viewBox.baseVal.width;
    const height = on ? svg.dataset.short : svg.dataset.full;
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    svg.style.overflow = "hidden";
    all(".extra", svg).forEach((g) => { g.style.display = on ? "none" : ""; });
  }
  all("figure").forEach((figure) => {
    const long = all("svg[data-full]", figure);
    const tools = figure.querySelector(".tools");
    if (!long.length || !tools) { return; }
    const rows = all(".row", long[0]).length;
    const button = document.createElement("button");
    button.type = "button";
    const set = (on) => {
      long.forEach((svg) => { fold(svg, on); svg.dataset.folded = on ? "1" : ""; });
      button.textContent = on ? "Show all " + rows : "Show the first only";
      button.setAttribute("aria-expanded", String(!on));
    };
    button.addEventListener("click", () => set(long[0].dataset.folded !== "1"));
    set(true);
    tools.prepend(button);
  });

  // Files are made in the page; nothing is fetched.
  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const study = document.body.dataset.study || "mlcoop";
  const safe = (text) => text.replace(/[^\p{L}\p{N}._-]+/gu, "-");
  const quote = (v) => (/[",\r\n]/.test(v) ? '"' + v.replace(/"/g, '""') + '"' : v);
  function csv(table) {
    const heads = all("thead th", table);
    const kept = heads.map((h, i) => (h.dataset.key ? i : -1)).filter((i) => i >= 0);
    const lines = [kept.map((i) => quote(heads[i].dataset.key)).join(",")];
    all("tbody tr", table).forEach((row) => {
      lines.push(kept.map((i) => quote(row.cells[i].dataset.v || "")).join(","));
    });
    return lines.join("\r\n") + "\r\n";
  }
  const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "opacity", "font-family", "font-size", "font-weight",
    "display"];
  function drawing(svg) {
    const copy = svg.cloneNode(true);
    const from = [svg].concat(all("*", svg));
    const to = [copy].concat(all("*", copy));
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      PAINT.forEach((key) => to[i].style.setProperty(key, style.getPropertyValue(key)));
      if (node.dataset.tip) {
        const words = document.createElementNS("http://www.w3.org/2000/svg", "title");
        words.textContent = node.dataset.tip;
        to[i].prepend(words);
      }
    });
    const box = svg.viewBox.baseVal;
    if ("simulated" in document.body.dataset) {
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "text");
      mark.textContent = "simulated";
      mark.setAttribute("x", box.width - 4);
      mark.setAttribute("y", box.height - 4);
      mark.setAttribute("style", "fill:#8a1c4a;font:600 13px sans-serif;text-anchor:end");
      copy.append(mark);
    }
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    copy.style.background = getComputedStyle(root).getPropertyValue("--paper");
    return copy;
  }
  const text = (svg) => new XMLSerializer().serializeToString(svg);
  // Small drawings are saved as one, four beside each other.
  function sheet(shown) {
    const outer = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const { width, height } = shown[0].viewBox.baseVal;
    const columns = Math.min(4, shown.length);
    shown.forEach((svg, i) => {
      const copy = drawing(svg);
      copy.setAttribute("x", (i % columns) * (width + 20));
      copy.setAttribute("y", Math.floor(i / columns) * (height + 10));
      outer.append(copy);
    });
    const size = [columns * (width + 20), Math.ceil(shown.length / columns) * (height + 10)];
    outer.setAttribute("width", size[0]);
    outer.setAttribute("height", size[1]);
    outer.setAttribute("viewBox", "0 0 " + size.join(" "));
    outer.style.background = getComputedStyle(root).getPropertyValue("--paper");
    return text(outer);
  }
  all("button[data-csv]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const table = document.getElementById(button.dataset.csv);
      save(safe(study + "-" + table.id) + ".csv", "text/csv", csv(table));
    });
  });
  all("button[data-svg]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const figure = button.closest("figure");
      const shown = all("svg.chart", figure).filter((s) => s.getClientRects().length);
      const grid = figure.querySelector(".fans");
      if (grid) {
        save(safe(study + "-" + grid.dataset.name) + ".svg", "image/svg+xml", sheet(shown));
      } else {
        shown.forEach((svg) => save(safe(study + "-" + svg.dataset.name) + ".svg",
          "image/svg+xml", text(drawing(svg))));
      }
    });
  });

  // Sort by clicking a head, or with the keyboard.
  all("table.sortable").forEach((table) => {
    const heads = all("thead th", table);
    heads.forEach((head, place) => {
      if (head.classList.contains("off")) { return; }
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("n");
        const was = head.getAttribute("aria-sort");
        const up = was ? was === "descending" : !numeric || head.dataset.key === "rank";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[place].dataset.v || "";
        const rows = all("tbody tr", table).map((row) => [value(row), row]);
        rows.sort((a, b) => {
          if (a[0] === "" || b[0] === "") { return (a[0] === "") - (b[0] === ""); }
          const x = Number(a[0]), y = Number(b[0]);
          const order = Number.isNaN(x) || Number.isNaN(y) ? a[0].localeCompare(b[0]) : x - y;
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows.map((r) => r[1]));
      });
    });
  });

  // Rows and drawings are shown where they hold the words searched for and the country chosen.
  const country = document.getElementById("country");
  const chosenCode = () => (country ? country.value : "");
  const filters = [];
  all("table.sortable").forEach((table) => {
    const input = document.querySelector('input[data-table="' + table.id + '"]');
    const keys = all("thead th", table).map((h) => h.dataset.key);
    const ends = ["country_a", "country_b"].map((key) => keys.indexOf(key));
    const ofPairs = ends.every((place) => place >= 0);
    if (!input && !ofPairs) { return; }
    const count = document.getElementById(table.id + "-count");
    const rows = all("tbody tr", table);
    const show = () => {
      const words = input ? input.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
      const code = ofPairs ? chosenCode() : "";
      let kept = 0;
      rows.forEach((row) => {
        const first = row.cells[0].dataset.v || "";
        const text = (row.textContent + " " + first).toLowerCase();
        row.hidden = !words.every((w) => text.includes(w))
          || (code !== "" && !ends.some((place) => row.cells[place].dataset.v === code));
        kept += row.hidden ? 0 : 1;
      });
      if (count) { count.textContent = kept === rows.length ? "" : kept + " of " + rows.length; }
    };
    if (input) { input.hidden = false; input.addEventListener("input", show); }
    filters.push(show);
  });

  // Small drawings of pairs: a dozen at first, or all of the country chosen.
  const FEW = 12;
  all(".fans").forEach((grid) => {
    const cells = all(".cell", grid);
    const tools = grid.parentElement.querySelector(".tools");
    const button = document.createElement("button");
    button.type = "button";
    let open = false;
    const show = () => {
      const code = chosenCode();
      cells.forEach((cell, i) => {
        const ofCode = [cell.dataset.a, cell.dataset.b].includes(code);
        cell.hidden = code !== "" ? !ofCode : !open && i >= FEW;
      });
      button.hidden = code !== "" || cells.length <= FEW;
      button.textContent = open ? "Show the first " + FEW : "Show all " + cells.length;
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => { open = !open; show(); });
    tools.prepend(button);
    filters.push(show);
    show();
  });

  // One country at a time, by the list or by a click on the map.
  if (country) {
    country.hidden = false;
    document.querySelector('label[for="country"]').hidden = false;
    const lands = all("svg.map [data-code]");
    const apply = () => {
      filters.forEach((show) => show());
      lands.forEach((land) => {
        land.classList.toggle("aside", country.value !== "" && land.dataset.code !== country.value);
      });
      document.getElementById("country-note").textContent =
        country.value === "" ? "" : "The map, charts and tables of pairs show only this one.";
    };
    country.addEventListener("change", apply);
    lands.forEach((land) => land.addEventListener("click", () => {
      country.value = country.value === land.dataset.code ? "" : land.dataset.code;
      apply();
      if (country.value) { country.scrollIntoView({ block: "start" }); }
    }));
    // A browser that restores forms on reload must show what the list says.
    if (country.value) { apply(); }
  }

  // The contents follow the reader.
  const links = all("nav.toc a");
  if (links.length && "IntersectionObserver" in window) {
    const parts = links.map((a) => document.getElementById(a.hash.slice(1)));
    const seen = new Set();
    const watch = new IntersectionObserver((entries) => {
      entries.forEach((e) => (e.isIntersecting ? seen.add(e.target) : seen.delete(e.target)));
      const at = parts.findIndex((part) => seen.has(part));
      links.forEach((a, i) => {
        if (i === at) { a.setAttribute("aria-current", "true"); } else { a.removeAttribute("aria-current"); }
      });
    }, { rootMargin: "-80px 0px -55% 0px" });
    parts.forEach((part) => part && watch.observe(part));
  }
})();
