"""The looks of the page, with gradio's own colours for light and dark.

Authors
 * The d2v_sb developers 2026
"""

FONTS = ("system-ui", "sans-serif")
MONO_FONTS = ("ui-monospace", "monospace")

CSS = """
.gradio-container { width: 100%; max-width: 1160px !important;
  margin: 0 auto !important; }
.gradio-container main.contain, .gradio-container .html-container {
  padding: 0 !important; }
.d2v-title h1 { font-size: 1.5rem; font-weight: 600; margin: 0; }
.d2v-title p, .d2v-about p { color: var(--body-text-color-subdued); margin: 0; }
.d2v-scroll { overflow-x: auto; border-radius: var(--radius-md);
  border: 1px solid var(--border-color-primary);
  background: var(--background-fill-primary); }
.d2v-strip { position: relative; padding-top: 26px; }
.d2v-wave { display: block; width: 100%; height: 110px;
  fill: var(--body-text-color-subdued); }
.d2v-with-words .d2v-axis { margin-top: 34px; }
.d2v-areas { display: block; width: 100%; height: 130px; margin-top: 6px; }
.d2v-axis { position: relative; height: 24px; font-size: 12px;
  border-top: 1px solid var(--border-color-primary);
  color: var(--body-text-color-subdued); }
.d2v-axis span { position: absolute; top: 0; padding: 3px 0 0 4px;
  border-left: 1px solid var(--border-color-primary); white-space: nowrap; }
.d2v-axis span:first-child { border-left: 0; }
.d2v-word { position: absolute; top: 24px; height: 146px; }
.d2v-word i { display: block; height: 114px; min-width: 2px;
  border-radius: 3px; background:
  color-mix(in srgb, var(--color-accent) var(--sure), transparent);
  opacity: 0.5; }
.d2v-word b { display: block; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; font-size: 14px; line-height: 30px; font-weight: 500;
  color: var(--body-text-color); }
.d2v-word:hover i, .d2v-word:focus i { opacity: 0.8; }
.d2v-word:hover b, .d2v-word:focus b { text-decoration: underline;
  text-underline-offset: 4px; }
.d2v-window { position: absolute; top: 0; bottom: 24px; }
.d2v-window:hover { background: color-mix(in srgb,
  var(--body-text-color) 12%, transparent); }
.d2v-tip { display: none; position: absolute; padding: 1px 6px; z-index: 1;
  font-size: 12px; white-space: nowrap; border-radius: 3px;
  color: var(--body-text-color); background: var(--background-fill-secondary);
  border: 1px solid var(--border-color-primary); }
.d2v-word .d2v-tip { top: -22px; }
.d2v-window .d2v-tip { top: 2px; }
.d2v-left { left: 0; }
.d2v-right { right: 0; }
.d2v-word:hover .d2v-tip, .d2v-word:focus .d2v-tip,
.d2v-window:hover .d2v-tip { display: block; }
.d2v-verdict { font-size: 1.5rem; font-weight: 600; margin: 4px 0 8px; }
.d2v-bars { list-style: none; margin: 0 0 12px; padding: 0;
  display: grid; gap: 4px; }
.d2v-bars li { display: grid; align-items: center; gap: 8px; margin: 0;
  grid-template-columns: 12px 8rem 1fr 3.5rem; }
.d2v-bars i { width: 12px; height: 12px; border-radius: 3px; }
.d2v-bars b { font-weight: 500; }
.d2v-bars span { height: 8px; border-radius: 4px; overflow: hidden;
  background: var(--background-fill-secondary); }
.d2v-bars u { display: block; height: 100%; }
.d2v-score { position: relative; height: 14px; margin: 46px 0 28px;
  border-radius: 7px; background: var(--border-color-primary); }
.d2v-same { position: absolute; top: 0; bottom: 0; right: 0; opacity: 0.4;
  border-radius: 0 7px 7px 0; background: var(--color-accent); }
.d2v-mark, .d2v-threshold { position: absolute; top: -8px; bottom: -8px;
  border-left: 3px solid var(--color-accent); margin-left: -1.5px; }
.d2v-threshold { border-left: 1px dashed var(--body-text-color);
  margin-left: -0.5px; }
.d2v-mark b { position: absolute; top: -26px; transform: translateX(-50%); }
.d2v-threshold span { position: absolute; bottom: -22px; font-size: 12px;
  transform: translateX(-50%); white-space: nowrap;
  color: var(--body-text-color-subdued); }
.d2v-ends { display: flex; justify-content: space-between; font-size: 12px;
  color: var(--body-text-color-subdued); margin: 0; }
.d2v-message { padding: 10px 14px; margin: 0; border-radius: var(--radius-md);
  color: var(--error-text-color); background: var(--error-background-fill);
  border: 1px solid var(--error-border-color); }
.d2v-saving { font-size: 13px; margin: 8px 0 0; }
.d2v-saving a { margin-right: 12px; }
"""
