#!/usr/bin/env python3
"""Opens a report page in a real browser: wide, on a phone, light and dark.

    report_in_browser.py BITSTAGE_MODEL SHARED [SCREENSHOTS]

Checks: the figures are those of `evaluate`; no complaint in the console, no request beyond the file itself; nothing wider
than the window; every text has a contrast of at least 4.5 (WCAG 2.1 AA); pictures load and have words; charts have names.
Exits with 77 (skipped) where there is no browser or no data. With SCREENSHOTS it leaves pictures there.
"""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import browser as chromium

IMAGES = 96
VIEWS = {"desktop": (1280, 900, False), "desktop-dark": (1280, 900, True), "phone": (360, 780, False),
         "phone-dark": (390, 844, True)}

CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
                         return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = c => { const l = c.slice(0, 3).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                       return .2126 * l[0] + .7152 * l[1] + .0722 * l[2]; };
  const ground = element => { for (let e = element; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const low = new Set();
  for (const e of document.querySelectorAll('body *')) {
    const words = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!words || e.tagName === 'title' || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), svg = e.namespaceURI.endsWith('svg');
    let under = ground(e);
    if (e.classList.contains('dot-number')) under = rgba(getComputedStyle(document.querySelector('.dot')).fill);
    const a = light(rgba(svg ? style.fill : style.color)), b = light(under);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) low.add(`${e.tagName}.${e.getAttribute('class')}: ${ratio.toFixed(2)}`);
  }
  return [...low];
})()"""

WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('svg')
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).slice(0, 5)"""

NAMELESS = """[...document.querySelectorAll('img')].filter(i => !i.alt || !i.complete || !i.naturalWidth).length
  + [...document.querySelectorAll('svg')].filter(s => s.getAttribute('role') !== 'img' || !s.getAttribute('aria-label')).length"""

FIGURES = """Object.fromEntries([...document.querySelectorAll('tr[data-model]')].map(row => [row.dataset.model,
  Object.fromEntries([...row.querySelectorAll('[data-figure]')].map(
    cell => [cell.dataset.figure, cell.firstChild ? cell.firstChild.data : '']))]))"""


def run(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def percent(share):
    return f"{100 * share:.2f} %"


def check(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


def check_view(page, name):
    check(not page.complaints(), f"{name}: the browser complains: {page.complaints()}")
    outside = [url for url in page.requests() if not url.startswith(("file:", "data:"))]
    check(not outside, f"{name}: the page asks for {outside}")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    check(widths[0] <= widths[1], f"{name}: {widths[0]} pixels wide in a window of {widths[1]}")
    check(not page.evaluate(WIDE), f"{name}: beyond the window: {page.evaluate(WIDE)}")
    check(not page.evaluate(CONTRAST), f"{name}: too little contrast: {page.evaluate(CONTRAST)}")
    check(page.evaluate(NAMELESS) == 0, f"{name}: pictures or charts without words")
    check(page.evaluate("document.querySelectorAll('h1').length") == 1, f"{name}: not one h1")


def main():
    tool, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    data = shared / "data"
    network = data / "models/cifar10_resnet8/model.onnx"
    test = data / "cifar10/test_batch_first800.bin"
    calibration = data / "cifar10/data_batch_1_first4000.bin"
    if chromium.find() is None:
        skip("no Chromium here (scripts/install_packages.sh browser)")
    if not network.exists():
        skip(f"FOR LACK OF DATA: {network} (set BITSTAGE_SHARED)")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        models, expected = [], {}
        for i, (weights, activations) in enumerate((("uniform:8", "uniform:8"), ("syq:ternary", "uniform:4"))):
            models.append(folder / f"model {i} <&>.bitstage")
            run(tool, "quantize", network, "--calibration", calibration, "--images", 32, "--weights", weights,
                "--activations", activations, "-o", models[i])
            expected[str(i)] = json.loads(run(tool, "evaluate", models[i], "--data", test, "--limit", IMAGES, "--against",
                                              network, "--json").splitlines()[-1])
        page_file = folder / "report.html"
        run(tool, "report", *models, "-o", page_file, "--data", test, "--limit", IMAGES, "--float", network)
        with chromium.Browser() as browser:
            for name, (width, height, dark) in VIEWS.items():
                page = browser.open(page_file.as_uri(), width, height, dark)
                if len(sys.argv) > 3:
                    target = pathlib.Path(sys.argv[3]) / (name + ".png")
                    target.write_bytes(base64.b64decode(page.screenshot()))
                check_view(page, name)
            figures = page.evaluate(FIGURES)
        for i, evaluated in expected.items():
            shown = figures[i]
            for figure in ("top1", "top5", "agreement"):
                check(shown[figure] == percent(evaluated[figure]),
                      f"model {i}: {figure} {shown[figure]!r}, evaluate says {percent(evaluated[figure])}")
            check(shown["lost_won"] == f"{evaluated['lost']} / {evaluated['won']}", f"model {i}: {shown['lost_won']}")
            check(figures["float"]["top1"] == percent(evaluated["against_top1"]), "the float network's top-1 differs")
    print(f"{len(VIEWS)} views of {len(models)} models: figures, contrast, widths and console are as they should be")


if __name__ == "__main__":
    main()
