"""Words of other languages in which people name their tags, as the English word that they stand for."""

from __future__ import annotations

import re
import unicodedata

_WORDS = {
    # German
    "verlust verluste kosten": "loss",
    "validierung validierungs": "validation",
    "trainings": "train",
    "genauigkeit treffergenauigkeit": "accuracy",
    "trefferquote": "recall",
    "lernrate": "lr",
    "gradientennorm": "grad_norm",
    "anteil": "share",
    "fehlerrate": "error_rate",
    "belohnung": "reward",
    # French
    "perte pertes": "loss",
    "entrainement apprentissage": "train",
    "exactitude": "accuracy",
    "norme": "norm",
    "rappel": "recall",
    "predite predites predit": "predicted",
    "confiance": "confidence",
    "moyenne moyen": "mean",
    "recompense": "reward",
    # Spanish, Portuguese, Italian
    "perdida perda perdita": "loss",
    "entrenamiento treino treinamento addestramento": "train",
    "validacion validacao validazione": "validation",
    "exactitud acuracia accuratezza": "accuracy",
    "prueba teste": "test",
    "recompensa ricompensa": "reward",
}
WORDS = {word: english for words, english in _WORDS.items() for word in words.split()}
"""Lower case, without accents."""

_PHRASES = (
    (
        re.compile(
            r"(taux|tasa|taxa|tasso)[\W_]*(de?|d['’]|di)?[\W_]*(apprentissage|aprendizaje|aprendizado|apprendimento)", re.IGNORECASE
        ),
        "lr",
    ),
    (re.compile(r"part[\W_]+predite", re.IGNORECASE), "share_predicted"),
)
_SIGNS = {
    **dict.fromkeys(("学习率", "學習率", "学習率", "학습률"), " lr "),
    **dict.fromkeys(("损失", "損失", "손실", "потери"), " loss "),
    **dict.fromkeys(("训练", "訓練", "学習", "훈련", "학습", "обучение"), " train "),
    **dict.fromkeys(("验证", "驗證", "検証", "검증", "валидация"), " validation "),
    **dict.fromkeys(("测试", "測試", "テスト", "테스트"), " test "),
    **dict.fromkeys(("准确率", "準確率", "正解率", "精度", "정확도", "точность"), " accuracy "),
    "梯度": " grad ",
    "范数": " norm ",
}


def translate(text: str) -> str:
    """A tag with the phrases and signs of other languages replaced and its accents removed; single words are left to `WORDS`."""
    if not text.isascii():
        text = text.lower() if any(sign in text.lower() for sign in _SIGNS) else text
        for sign, english in _SIGNS.items():
            text = text.replace(sign, english)
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for phrase, english in _PHRASES:
        text = phrase.sub(english, text)
    return text
