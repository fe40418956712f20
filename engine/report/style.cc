#include "engine/report/sections.h"

namespace bitstage::report {

// Colours by role, so that dark is one block. All pairs of text and ground have a contrast of 4.5 or more.
const char kStyle[] = R"css(
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#16202c;--muted:#55606e;--line:#dde2e8;--rule:#e8ebf0;
--accent:#1f5fd1;--accent-ink:#fff;--soft:#dfe9fb;--ternary:#0e7c66;--binary:#a34b0b;--noise:#8a4fc2;--bytes:#7d8fa9;
--lost:#b3261e;--won:#12703f;--dot:#16202c;--reach:#eef4ff;--level:#b9cdf2}
@media(prefers-color-scheme:dark){:root{--ground:#0f141b;--card:#171e28;--ink:#e9eef5;--muted:#a3b0c0;--line:#2b3645;
--rule:#232d3a;--accent:#7aabff;--accent-ink:#0c1420;--soft:#1f3157;--ternary:#4cc9ac;--binary:#f0a35e;--noise:#c39bf0;
--bytes:#74869f;--lost:#ff8a80;--won:#6fdc9f;--dot:#e9eef5;--reach:#1a2740;--level:#37538c}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
.brand{margin:0;color:var(--accent);font-weight:600;letter-spacing:.02em}
h1{font-size:clamp(1.5rem,4.5vw,2.25rem);line-height:1.15;margin:.2rem 0 1.2rem;letter-spacing:-.02em}
h2{font-size:1.25rem;margin:0 0 .75rem;letter-spacing:-.01em}
h3{font-size:1.02rem;margin:1.75rem 0 .5rem}
h4{font-size:.95rem;margin:0 0 .5rem}
section,details.model{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.25rem;margin:0 0 1.25rem}
#detail{background:none;border:0;padding:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:0 0 1.25rem}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:.8rem 1rem;display:flex;flex-direction:column-reverse}
.facts dt{color:var(--muted);font-size:.85rem;line-height:1.3}
.facts dd{margin:0;font-size:1.6rem;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
a{color:var(--accent);text-underline-offset:.15em}
figure{margin:0}
figcaption,.note{color:var(--muted);font-size:.875rem}
.note{margin:.6rem 0 0}
svg{display:block;width:100%;height:auto;font-family:inherit}
svg.narrow{display:none}
@media(max-width:40rem){svg.wide{display:none}svg.narrow{display:block}section,details.model{padding:1rem .85rem;border-radius:12px}header,main,footer{padding-left:.75rem;padding-right:.75rem}#detail{padding:0}}
svg text{fill:var(--ink);font-size:12px}
svg .tick,svg .axis,svg .muted{fill:var(--muted);font-variant-numeric:tabular-nums}
svg .label{font-size:13px;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.rule{stroke:var(--rule)}.base{stroke:var(--muted)}
.reference{stroke:var(--muted);stroke-dasharray:5 4}
.front{fill:none;stroke:var(--accent);stroke-width:2;opacity:.55}
.interval{stroke:var(--muted);stroke-width:1.25}
.dot{fill:var(--accent)}
svg .dot-number{fill:var(--accent-ink);font-size:11.5px;font-weight:700}
.bar{fill:var(--accent)}.bar.ternary{fill:var(--ternary)}.bar.binary{fill:var(--binary)}.bar.float{fill:var(--bytes)}
.bar.bytes{fill:var(--bytes)}.bar.noise{fill:var(--noise)}.bar.stored{fill:none;stroke:var(--accent)}
.activation{fill:var(--dot);stroke:var(--card);stroke-width:1}
.reach{fill:var(--reach)}.level{stroke:var(--level)}.comb{stroke:var(--accent);fill:none}
.histogram{fill:var(--accent);fill-opacity:.5;stroke:var(--accent);stroke-width:.75}
.key{white-space:nowrap;margin-left:.6rem}
.swatch{display:inline-block;width:.75em;height:.75em;border-radius:2px;background:var(--accent);margin-right:.35em}
.swatch.ternary{background:var(--ternary)}.swatch.binary{background:var(--binary)}.swatch.round{background:var(--dot);border-radius:50%}
.badge{display:inline-block;min-width:1.5em;padding:0 .35em;border-radius:1em;background:var(--accent);color:var(--accent-ink);font-size:.78em;font-weight:700;text-align:center;line-height:1.5em;vertical-align:.08em}
.scroll{overflow-x:auto;margin:.5rem 0 0}
.scroll:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:4px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{text-align:left;padding:.45rem .6rem;border-bottom:1px solid var(--line);font-weight:400;vertical-align:top}
thead th{color:var(--muted);font-size:.82rem;white-space:nowrap}
.n{text-align:right;white-space:nowrap}
td small{display:block;color:var(--muted);font-size:.78rem}
th small{color:var(--muted)}
tbody tr:last-child>*{border-bottom:0}
tr.float>*{color:var(--muted)}
#models tbody th{font-weight:600;min-width:9rem}
.meter{position:relative;min-width:7rem}
.meter i{position:absolute;left:.3rem;top:.4rem;bottom:.4rem;max-width:calc(100% - 4.6rem);background:var(--soft);border-radius:3px;min-width:2px}
summary{cursor:pointer}
details:not(.model)>summary{color:var(--accent);font-size:.9rem;padding:.5rem 0}
details.model>summary{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem .75rem;list-style:none}
details.model>summary::-webkit-details-marker{display:none}
details.model>summary::after{content:"▸";color:var(--muted);margin-left:auto}
details.model[open]>summary::after{content:"▾"}
details.model h2{margin:0}
.sub{color:var(--muted);font-size:.9rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13rem),1fr));gap:.75rem;margin-top:.75rem}
.card{border:1px solid var(--line);border-radius:10px;padding:.6rem .7rem}
.card figcaption{color:var(--ink);font-size:.82rem;font-weight:600;margin-bottom:.3rem}
.card p{margin:.3rem 0 0;color:var(--muted);font-size:.78rem;line-height:1.4}
.photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(44%,9rem),1fr));gap:.75rem;margin:1rem 0}
.photo{border:1px solid var(--line);border-radius:10px;overflow:hidden}
.photo img{display:block;width:100%;aspect-ratio:1;object-fit:cover;image-rendering:auto;background:var(--rule)}
.photo figcaption{padding:.5rem .6rem;color:var(--ink);line-height:1.4}
.answer{display:block;color:var(--muted);font-size:.82rem}
.answer.lost{color:var(--lost)}.answer.won{color:var(--won)}
.confusions{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:1.25rem}
ul.plain{list-style:none;margin:0;padding:0;color:var(--muted);font-size:.875rem}
code{font:.9em ui-monospace,"SFMono-Regular",Menlo,"DejaVu Sans Mono",monospace}
footer{color:var(--muted);font-size:.85rem;padding-bottom:2rem}
@media print{body{background:none}section,details.model{break-inside:avoid}}
)css";

}  // namespace bitstage::report
