"""The dashboard of adtally: topic `results` -> feed -> store -> query -> page. It never imports Bytewax."""
