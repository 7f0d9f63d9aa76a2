"""The read model: feed -> store -> answers. It knows no HTTP and no Panel; dashboard, alerts and exports use it."""
