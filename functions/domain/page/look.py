"""How the page looks: one style sheet, light and dark, and light on paper.

Colours are variables, each for text on the page's ground and on a panel; tests/page/test_contrast.py computes the
contrast of every pair that is used. Nothing is told by colour alone.
"""

LIGHT = {
    "ground": "#faf9f6",
    "panel": "#ffffff",
    "ink": "#1f2427",
    "quiet": "#5a6268",
    "line": "#dedcd5",
    "soft": "#eeece6",
    "link": "#1d5b94",
    "good": "#1c6e48",
    "warn": "#855300",
    "bad": "#b0281f",
    "first": "#2f6f9f",
    "second": "#a05f14",
    "third": "#5f7d4f",
    "fourth": "#7d5a8c",
}
DARK = {
    "ground": "#15181b",
    "panel": "#1c2024",
    "ink": "#e5e7e9",
    "quiet": "#a4acb3",
    "line": "#353b41",
    "soft": "#262b30",
    "link": "#86bdf0",
    "good": "#79c99b",
    "warn": "#e0b052",
    "bad": "#ff9389",
    "first": "#74b0dc",
    "second": "#dba25f",
    "third": "#9dbf89",
    "fourth": "#c2a0d2",
}
TEXT = ("ink", "quiet", "link", "good", "warn", "bad")
"""Colours in which words are written."""
GROUNDS = ("ground", "panel")
SHAPES = ("good", "warn", "bad", "first", "second", "third", "fourth")
"""Colours of what a chart shows."""

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
  Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
main,header,footer,nav.all{max-width:64rem;margin:0 auto;padding:0 1.25rem}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px;
  border-radius:3px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:1rem;background:var(--panel);padding:.5rem 1rem}
h1,h2,h3{line-height:1.25;font-weight:600;text-wrap:balance}
.title{font-size:1.75rem;margin:2.5rem 0 .25rem}
.head{font-size:1.2rem;margin:0 0 .25rem}
p{margin:.4rem 0;max-width:44rem}
.quiet{color:var(--quiet)}
.small{font-size:.875rem}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
strong.good,strong.warn,strong.bad{font-weight:600}
section.part{background:var(--panel);border:1px solid var(--line);border-radius:12px;
  padding:1.25rem 1.5rem 1.4rem;margin:1.25rem 0;break-inside:avoid-page}
.status{display:flex;gap:.9rem;align-items:flex-start;background:var(--panel);border:1px solid var(--line);
  border-left-width:6px;border-radius:12px;padding:1rem 1.25rem;margin:1rem 0}
.status p{margin:0}
.status p+p{margin-top:.25rem}
.status.is-good{border-left-color:var(--good)}.status.is-warn{border-left-color:var(--warn)}
  .status.is-bad{border-left-color:var(--bad)}
.word{font-size:1.1rem;font-weight:600}
dl.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;background:var(--line);
  border:1px solid var(--line);border-radius:12px;overflow:hidden;margin:1rem 0}
dl.cards>div{background:var(--panel);padding:.8rem 1rem}
dt{color:var(--quiet);font-size:.8rem}
dd{margin:0}
dd .big{display:block;font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums}
nav.parts{margin:.75rem 0;font-size:.9rem}
nav.parts ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;padding:0;margin:0}
svg{display:block;width:100%;overflow:visible}
svg.strip{height:76px}svg.area{height:190px}svg.columns{height:96px}svg.bar{height:10px}svg.stack{height:20px;
  border-radius:4px}
svg *{vector-effect:non-scaling-stroke}
.chart{display:grid;grid-template-columns:auto 1fr;gap:.25rem .75rem;margin:1rem 0 .25rem}
.chart.plain{grid-template-columns:1fr}
.scale{display:flex;flex-direction:column;justify-content:space-between;text-align:right;color:var(--quiet);
  font-size:.75rem;font-variant-numeric:tabular-nums}
.axis{display:flex;justify-content:space-between;color:var(--quiet);font-size:.75rem;
  font-variant-numeric:tabular-nums;grid-column:-2/-1}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;padding:0;margin:.5rem 0;font-size:.85rem;
  color:var(--quiet)}
.key svg,.swatched svg{display:inline-block;width:14px;height:14px;vertical-align:-2px;margin-right:.4rem}
.s-pass{stroke:var(--good);stroke-width:2;opacity:.65}.s-none{stroke:var(--quiet);stroke-width:2;opacity:.55}
.s-hold{stroke:var(--warn);stroke-width:3}.s-fail{stroke:var(--bad);stroke-width:3}.s-base{stroke:var(--line);
  stroke-width:1}
.s-good{stroke:var(--good);stroke-width:3}
.hit{stroke:transparent;stroke-width:12}
svg a:focus-visible{outline:none}
svg a:focus-visible .hit{stroke:var(--link);opacity:.35}
.a-now{fill:var(--first);opacity:.22}.l-now{fill:none;stroke:var(--first);stroke-width:2}
.l-all{fill:none;stroke:var(--second);stroke-width:1.5;stroke-dasharray:5 4}.d-all{stroke:var(--second);
  stroke-width:8;stroke-linecap:round}
.g{stroke:var(--line);stroke-width:1}
.f-ground{fill:var(--soft)}.f-first{fill:var(--first)}.f-second{fill:var(--second)}.f-third{fill:var(--third)}
  .f-fourth{fill:var(--fourth)}
.wide{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);font-size:.85rem;padding:.25rem 0}
th,td{text-align:left;padding:.32rem .75rem .32rem 0;border-bottom:1px solid var(--line);vertical-align:middle}
th{font-weight:500}thead th{color:var(--quiet);font-size:.8rem;white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
.n{text-align:right;white-space:nowrap}
td.n,th.n{padding-right:1.5rem}
tr>.n:last-child{padding-right:0}
td.b{width:26%;min-width:5rem}
tr.sum>*{font-weight:600;border-top:1px solid var(--quiet)}
tr:target>*{background:var(--soft)}
td.t,th.t{white-space:nowrap}
details{margin:.75rem 0 0}
summary{cursor:pointer;color:var(--link);font-size:.9rem;padding:.2rem 0;width:max-content;max-width:100%}
ul.happened{padding-left:0;list-style:none;margin:.75rem 0}
ul.happened li{padding:.35rem 0;border-top:1px solid var(--line)}
.two{display:grid;grid-template-columns:1fr 1fr;gap:0 2.5rem}
footer{color:var(--quiet);font-size:.85rem;padding-top:1rem;padding-bottom:3rem}
@media (max-width:46rem){
dl.cards{grid-template-columns:1fr 1fr}.two{grid-template-columns:1fr}
section.part{padding:1rem 1rem 1.1rem}main,header,footer,nav.all{padding:0 .85rem}
.title{font-size:1.45rem;margin-top:1.5rem}svg.area{height:150px}
table.fold td.o,table.fold th.o{display:none}
table{font-size:.82rem}th,td{padding-right:.5rem}td.n,th.n{padding-right:.75rem}td.b{min-width:3rem}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
@media print{body{font-size:11pt}nav,.skip{display:none}section.part,.status,dl.cards{border-color:#999}
  main,header,footer{max-width:none}}
"""


def _colours(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colours.items())


def style() -> str:
    """The style sheet."""
    return (
        f":root{{color-scheme:light dark;{_colours(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}\n"
        f"@media print{{:root{{color-scheme:light;{_colours(LIGHT)}}}}}"
        f"{_RULES}"
    )
