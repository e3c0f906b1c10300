"""Words of other languages in which people name their tags, as the English word that they stand for."""

from __future__ import annotations

import re
import unicodedata

_WORDS = {
    # German
    "verlust verluste kosten": "loss",
    "validierung validierungs prufmenge prufen pruefen prufdaten pruefdaten testdaten klausur kontrolle kontrollteil unbekannt": "validation",
    "trainings lernmenge lerndaten lernen ubung ubungsdaten bekannt": "train",
    "genauigkeit treffergenauigkeit": "accuracy",
    "trefferquote": "recall",
    "lernrate schrittweite lernschrittweite": "lr",
    "gradientennorm gradientenlange gradientenlaenge": "grad_norm",
    "kreuzentropie": "xent",
    "richtig": "correct",
    "betrag": "norm",
    "anteil": "share",
    "fehlerrate": "error_rate",
    "belohnung": "reward",
    "fehler": "error",
    "gewichtsnorm": "weight_norm",
    "sicherheit zuversicht": "confidence",
    # French
    "perte pertes": "loss",
    "entrainement apprentissage": "train",
    "exactitude": "accuracy",
    "norme": "norm",
    "taux tasa taxa tasso": "rate",
    "erreur": "error",
    "poids pesos gewichte pesi": "weight",
    "rappel": "recall",
    "predite predites predit": "predicted",
    "confiance": "confidence",
    "moyenne moyen": "mean",
    "recompense": "reward",
    "cout couts coute": "cost",
    "longueur lunghezza lengte laenge lange longitud comprimento dlugosc": "length",
    "gradienten gradientu": "gradient",
    # Spanish, Portuguese, Italian
    "perdida perda perdita": "loss",
    "entrenamiento aprendizaje treino treinamento addestramento addestra apprendimento": "train",
    "validacion comprobacion validacao validazione valida collaudo controle developpement reserva riserva": "validation",
    "exactitud acuracia accuratezza nauwkeurigheid": "accuracy",
    "prueba teste": "test",
    "recompensa ricompensa": "reward",
    "errore erro": "error",
    "esattezza": "accuracy",
    "verifica": "validation",
    "gradiente gradienti gradientes": "gradient",
    "coste costo custo koszt kosten": "cost",
    "strata verlies": "loss",
    # Polish, Dutch
    "nauka nauki uczenia uczacy leerset leerdeel oefening oefenen": "train",
    "walidacja walidacji walidacyjny validatie examen proefdeel": "validation",
    "sprawdzian testowy proefset toets": "test",
    "norma normy": "norm",
    "wag": "weight",
    "aciertos acertos": "correct",
    "trafnosc dokladnosc": "accuracy",
    "fracao frazione fraccion quota": "share",
    "predicha predichas predicho predita preditas predetta predette": "predicted",
    "revocacao exhaustividad pelnosc czulosc": "recall",
    "precyzja": "precision",
    "perplessita perplejidad perplexite perplexiteit saskinlik": "perplexity",
    "leersnelheid leertempo": "lr",
    "memoria memoire geheugen": "memory",
    "strato schicht couche capa camada warstwa laag": "layer",
    "aktivierungen aktivierung attivazioni attivazione activaciones ativacoes aktywacje activaties aktivasyon": "activations",
    "confianca confianza fiducia jistota pewnosc zekerheid vertrouwen guven sakerhet sikkerhed sikkerhet varmuus bizonyossag magabiztossag incredere "
    "siguranta istota sigurnost gotovost pouzdanost zaupanje luottamus confidenza sicurezza certitude certeza konfidenz gewissheit keyakinan": "confidence",
    "puntuacion pontuacao punteggio": "score",
    # Japanese and Chinese in Latin letters
    "sonshitsu sunshi": "loss",
    "gakushuu gakushu xunlian": "train",
    "kenshou kensho yanzheng": "validation",
    "tesuto ceshi": "test",
    "seikairitsu zhunquelu zhunquelv": "accuracy",
    "gakushuuritsu gakushuritsu xuexilu xuexilv hakseupryul": "lr",
    "koubai kobai tidu": "grad",
    "fanshu": "norm",
    "quanzhong": "weight",
    "wariai": "share",
    "kakushindo": "confidence",
    # Turkish
    "kayip kaybi": "loss",
    "egitim": "train",
    "dogrulama gecerleme": "validation",
    "gradyan": "grad",
    "normu": "norm",
    "agirlik": "weight",
    "dogruluk": "accuracy",
    "odul": "reward",
    # Swedish, Norwegian, Danish, Finnish
    "forlust kostnad havio tappio": "loss",
    "traning traningsmangd trening traening koulutus harjoitus opetus": "train",
    "validering valideringsmangd validointi": "validation",
    "traffsakerhet noggrannhet noyaktighet nojagtighed noejagtighed treffsikkerhet tarkkuus": "accuracy",
    "inlarningstakt inlarningshastighet laeringsrate indlaeringsrate oppimisnopeus": "lr",
    "forklaringsgrad": "r2",
    "felkvot felfrekvens feilrate fejlrate": "error_rate",
    "virhe feil fejl": "error",
    "konfidens": "confidence",
    "andel": "share",
    # Czech, Slovak, Slovene, Croatian, Serbian, Hungarian, Romanian, Catalan
    "ztrata izguba gubitak gubici veszteseg pierdere pierderea perdua": "loss",
    "trenink trenovani treniranje ucenje tanitas tanito betanitas antrenare antrenament entrenament": "train",
    "validace validacia validacija overeni provjera provera validacio ellenorzes validare": "validation",
    "presnost tocnost tacnost natancnost pontossag acuratete": "accuracy",
    "chyba greska napaka hiba": "error",
    # Indonesian
    "kerugian": "loss",
    "pelatihan latihan": "train",
    "validasi": "validation",
    "akurasi ketepatan": "accuracy",
    # Russian in Latin letters
    "obuchenie obucheniye": "train",
    "proverka": "validation",
    "poteri poterya": "loss",
    "tochnost": "accuracy",
    # What is told beside losses and scores, in all of them
    "podil podiel udzial arany proportie pondere udio udeo delez osuus oran aandeel proporcion proporcao proporzione proporsi": "share",
    "trida trieda klasa osztaly clasa razred klass klasse luokka sinif clase classe kelas": "class",
    "uplnost citlivost sensibilidad sensibilidade sensibilita sensibilite sensitivitat richiamo duyarlilik gevoeligheid teljesseg": "recall",
    "kesinlik precizie preciznost precisao precisione prazision": "precision",
    "blad eroare hata fout galat kesalahan": "error",
    "vahy vaha wagi suly sulyok greutate tezina utez vikt vekt vaegt paino gewicht peso bobot": "weight",
    "skore wynik puan skor pontszam poang scor bodovi tocke": "score",
    "gradijent gradijenta gradientul gradien gradientti": "gradient",
    "уверенность впевненість": "confidence",
    "доля доли частка": "share",
    "класс класса классов клас": "class",
    "полнота полноты": "recall",
    "помилка": "error",
    "веса вага": "weight",
    "градиент": "gradient",
    "эпоха": "epoch",
    "usposabljanje": "train",
    "epoka epocha epoca epoha epok epoke epokki donem epoque epoche korszak": "epoch",
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
    (
        re.compile(
            r"(ritmo|tasa|tx|wsp(o[lł]czynnik)?|xuexi|skorost|pas)[\W_]*(de?|d['’])?[\W_]*"
            r"(apr(endizaje|entissage)?|app|uczenia|lv|lu|obucheniy?[ae])(?![^\W_])|ogrenme[\W_]+hizi|шаг[\W_]+(градиентного[\W_]+спуска|обучения)|tempo[\W_]+uczenia",
            re.IGNORECASE,
        ),
        "lr",
    ),
    (
        re.compile(
            r"(rychlost|stopa|brzina|hitrost)[\W_]+ucen(i|ia|ja)(?![^\W_])|tanulasi[\W_]+(rata|sebesseg)|rata[\W_]+(de[\W_]+)?invatare|"
            r"laju[\W_]+(pem)?belajar(an)?|toc[\W_]+do[\W_]+hoc",
            re.IGNORECASE,
        ),
        "lr",
    ),
    (re.compile(r"(?<![^\W\d_])η(?![^\W\d_])"), "lr"),
    (re.compile(r"mat[\W_]+mat(?![^\W_])", re.IGNORECASE), "loss"),
    (re.compile(r"huan[\W_]+luyen", re.IGNORECASE), "train"),
    (re.compile(r"kiem[\W_]+(dinh|tra|thu)|xac[\W_]+thuc", re.IGNORECASE), "validation"),
    (re.compile(r"do[\W_]+chinh[\W_]+xac", re.IGNORECASE), "accuracy"),
    (re.compile(r"jamais[\W_]+vue?s?|no[\W_]+(aprendid|vist)[oa]s|nao[\W_]+vist[oa]s", re.IGNORECASE), "unseen"),
    (re.compile(r"f[\W_]mesure|medida[\W_]f|f[\W_]mass", re.IGNORECASE), "f1"),
    (re.compile(r"somme[\W_]+des[\W_]+carres", re.IGNORECASE), "mse"),
    (re.compile(r"part[\W_]+predite", re.IGNORECASE), "share_predicted"),
    (re.compile(r"norm[ae]?[\W_]*(de[rs]?|des|dei|dos)?[\W_]*(poids|pesos|pesi|gewichte)", re.IGNORECASE), "weight_norm"),
    (
        re.compile(
            r"scarto[\W_]*medio|ecart[\W_]*moyen|gem[\W_]*abs[\W_]*fout|mittlerer?[\W_]*fehler|erreur[\W_]*moyenne|err(o|ore|or)[\W_]*medio",
            re.IGNORECASE,
        ),
        "mae",
    ),
    (re.compile(r"скорость[\W_]+обучения|ogrenme[\W_]+orani", re.IGNORECASE), "lr"),
)
_SIGNS = {
    sign: f" {english} "
    for signs, english in {
        "学习率 學習率 学習率 학습률 ρυθμός_μάθησης швидкість_навчання معدل_التعلم קצב_למידה सीखने_की_दर نرخ_یادگیری อัตราการเรียนรู้": "lr",
        "损失 損失 손실 потери потерь 목적함수": "loss",
        "ошибка ошибки 誤差 误差 오류 σφάλμα похибка خطأ خطا שגיאה त्रुटि": "error",
        "训练集 训练 訓練 学習 훈련 학습 обучение обучающая обучающей учёба": "train",
        "норма нормы νόρμα معيار נורמה": "norm",
        "градиента градиентов градієнта градієнт ∇ κλίσης κλίση التدرج גרדיאנט प्रवणता گرادیان": "grad",
        "весов βαρών βάρη الأوزان משקולות وزن": "weight",
        "验证集 留出集 验证 驗證 検証 開発 검증 валидация валидации валидационная проверка проверке проверочная контроль": "validation",
        "测试集 测试 測試 テスト 테스트 δοκιμή اختبار מבחן परीक्षण آزمون": "test",
        "正确率 准确率 准确度 準確率 正解率 精度 정확도 точность": "accuracy",
        "重建 再構成 재구성": "reconstruction",
        "置信度 確信度 信頼度 신뢰도 自信 확신 確信 信心 βεβαιότητα впевненість الثقة ביטחון اطمینان": "confidence",
        "割合 比率 比例 占比 비율 μερίδιο ποσοστό": "share",
        "クラス 类别 類別 클래스 κλάση κατηγορία": "class",
        "召回率 再現率 재현율 ανάκληση": "recall",
        "精确率 精確率 適合率 정밀도": "precision",
        "平均交并比 交并比": "iou",
        "交叉熵 クロスエントロピー 교차엔트로피": "xent",
        "显存 메모리 память": "memory",
        "均方误差 평균제곱오차": "mse",
        "平均绝对误差 평균절대오차": "mae",
        "错误率": "error rate",
        "困惑度": "perplexity",
        "奖励 獎勵 報酬 보상 награда": "reward",
        "回报": "return",
        "胜率": "win rate",
        "命中率": "hit rate",
        "得分": "score",
        "втрати втрата απώλεια خسارة הפסד हानि زیان": "loss",
        "навчання тренування εκπαίδευση تدريب אימון प्रशिक्षण آموزش": "train",
        "валідація перевірка επικύρωση تحقق אימות सत्यापन اعتبارسنجی": "validation",
        "точність ακρίβεια دقة דיוק सटीकता دقت": "accuracy",
        "熵": "entropy",
        "散度": "divergence",
        "梯度 勾配 기울기": "grad",
        "范数 ノルム 노름": "norm",
        "权重 重み 가중치": "weight",
        "激活 活性化 활성화 активации активаций": "activations",
        "平均": "mean",
        "总": "total",
        "轮次 エポック 에포크 εποχή епоха حقبة אפוק دوره": "epoch",
        "步数": "steps",
        "缩放": "scale",
        "的 集 时": "",
    }.items()
    for written in signs.split()
    for sign in dict.fromkeys((written, written.replace("_", " ")))
}
"""Longer ones first, where one holds another."""


_LETTERS = str.maketrans({"ı": "i", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ß": "ss"})
"""Letters that are no letter with an accent."""

_ACCENTED = re.compile("precisi[óÓ]n", re.IGNORECASE)
"""Spanish writers of classifiers mean the accuracy by it; without its accent it is the English word."""


def translate(text: str) -> str:
    """A tag with the phrases and signs of other languages replaced and its accents removed; single words are left to `WORDS`."""
    if not text.isascii():
        text = text.lower() if any(sign in text.lower() for sign in _SIGNS) else text
        for sign, english in _SIGNS.items():
            text = text.replace(sign, english)
        text = _ACCENTED.sub("accuracy", text)
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).translate(_LETTERS)
    for phrase, english in _PHRASES:
        text = phrase.sub(english, text)
    return text
