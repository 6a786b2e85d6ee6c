"""The forecast model: experts on the past of pairs, their blend, intervals and backtest."""
