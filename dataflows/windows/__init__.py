"""The event-time windows of one shard: watermark, panes, cells. It knows no Kafka and no Bytewax."""
