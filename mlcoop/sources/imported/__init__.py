"""Files of pairs that users download: CEPII's Gravity and BACI."""
