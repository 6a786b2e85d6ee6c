"""The model's card: training data, performance, and limitations."""

from __future__ import annotations

from typing import Any

from mlcoop.config import Config
from mlcoop.report.names import set_name


def model_card(
    config: Config,
    coverage: dict[str, Any],
    metrics: dict[str, Any],
    provenance: dict[str, Any],
    learner: str,
) -> str:
    """Return the card of a study's two models as Markdown.

    Parameters
    ----------
    config : Config
    coverage, metrics, provenance : dict
        As in the experiment's folder; missing parts are left out of the card.
    learner : str
        Label of the factor learner.
    """
    years = coverage["years"]
    when = f", {years[0]} to {years[1]}" if years else ""
    simulated = coverage.get("simulated")
    if simulated:
        counts = "simulated counts, not real ones"
    elif config.panel:
        counts = "counts supplied by the user"
    else:
        in_full = config.target.counting == "full"
        counts = f"co-authored works, {'full' if in_full else 'fractional'} counting"
    use = "Used for the ranking." if metrics.get("ranking") else "Not used for a ranking."
    lines = [
        f"# Models of the study {config.name}",
        "",
        f"Trained by mlcoop {provenance['mlcoop']} on {coverage['pairs']} country pairs"
        f"{when}; {counts}.",
        "",
        f"- `factor_model.json`: {learner}; expected works of a pair from factors alone, with no "
        f"past collaboration of the pair among its inputs. {use}",
        *(
            [
                "- `forecaster.json`: the forecast ensemble and its interval widths, for "
                f"{_ahead(metrics['forecast'])} after {years[1]}."
            ]
            if metrics.get("forecast") and config.forecast.enabled
            else []
        ),
        "",
        "## Performance",
        "",
    ]
    for name, value in metrics.get("factor_model", {}).get("deviance_explained", {}).items():
        ppml = metrics["factor_model"]["ppml_deviance_explained"].get(name)
        beside = f" (PPML {ppml:.2f})" if ppml is not None else ""
        lines.append(
            "- Poisson deviance explained on held-out pairs, "
            f"{name.removesuffix('_unseen')}: {value:.2f}{beside}"
        )
    for part, methods in metrics.get("forecast", {}).get("sets", {}).items():
        wape = {
            m: scores["wape"] for m, scores in methods.items() if scores.get("wape") is not None
        }
        if "model" in wape and "persistence" in wape:
            lines.append(
                f"- Error (WAPE) one year ahead, {set_name(part)}: {wape['model']:.3f} "
                f"(persistence {wape['persistence']:.3f})"
            )
    lines += [
        "",
        "## Limitations",
        "",
        "The models describe association. That a factor ranks high, or that the forecast changes "
        "when a factor is changed, does not show that changing the factor would change "
        "collaboration. The models do not cover countries outside the training set, or years far "
        "beyond it.",
        "",
        f"Panel checksum {provenance['panel_sha256']}, seed {provenance['seed']}, mlcoop commit "
        f"{provenance['commit'] or 'unknown (installed package)'}.",
        "",
    ]
    return "\n".join(lines)


def _ahead(forecast: dict[str, Any]) -> str:
    # those asked for that could be tested
    years = len(forecast.get("horizons") or {1: None})
    return "the year" if years == 1 else f"the {years} years"
