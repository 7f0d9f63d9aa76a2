// What the dashboard's modules find in the page besides the browser's own: libraries that Panel loads, and the shapes of messages.

/** A JSON object from the server: the contract of these messages is the Python that writes them (`figures/views`, `panel_app/pages`). */
type Answer = Record<string, any>;

/** Changes of the URL's parameters; an empty text or list removes one. */
type Changes = Record<string, string | string[]>;

interface Window {
  /** The Panel component of this session, set when its WebSocket is connected (`panel_app/server/bridge.py`). */
  adtallyModel?: any;
  Bokeh?: any;
  echarts?: any;
}
