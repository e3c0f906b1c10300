"""The field's words as data: phrase -> what a series called so is. Phrases are lower-case words, separators do not matter.

Longer phrases win over shorter ones, then the higher rank, then the later place in the tag. Adding a word is adding a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbdiag.model import Direction, Role

LOWER, HIGHER, NONE = Direction.LOWER, Direction.HIGHER, Direction.NONE


@dataclass(frozen=True, slots=True)
class Word:
    """Meaning of a phrase: role, direction, and the stem that pairs it with the same measure of another split."""

    role: Role
    direction: Direction = NONE
    stem: str = ""
    rank: int = 0
    sub_kind: str | None = None


def _many(role: Role, direction: Direction, phrases: str, *, stem: str = "", rank: int = 0, sub_kind: str | None = None) -> dict[str, Word]:
    """One entry a phrase; phrases are separated by commas."""
    return {p: Word(role, direction, stem or p.replace(" ", "_"), rank, sub_kind) for p in (q.strip() for q in phrases.split(",")) if p}


VOCABULARY: dict[str, Word] = {
    # The loss itself. "nll", "xent" and the like are losses by name even where the word loss is missing.
    **_many(Role.LOSS, LOWER, "loss, losses, cost, objective, obj per sample, objective per sample, criterion, obj fn, objfn, objective function, loss function, cost function", stem="loss"),
    **_many(Role.LOSS, LOWER, "total loss, loss total, focal dice, bce dice, ce dice, dice ce, dice bce, dice focal, l total, loss all, overall loss, combined loss, full loss, sum loss", stem="loss", rank=3),
    **_many(Role.LOSS, LOWER, "lm loss, reduced loss, reduced train loss, training loss, loss avg, global avg loss, lm loss validation", stem="loss", rank=2),
    **_many(Role.LOSS, LOWER, "xent, cross entropy, crossentropy, cross ent, categorical crossentropy, sparse categorical crossentropy", stem="loss", rank=-1),
    **_many(Role.LOSS, LOWER, "nll, negative log likelihood, neg log likelihood, neg log lik, logloss, log loss, bce, ce", stem="loss", rank=-2),
    **_many(Role.LOSS, LOWER, "cross entropy loss, ce loss, bce loss, nll loss, mse loss, nelbo, aeloss, nlpd, neg log marginal, neg log p, nats per token, total misfit, log pplx, log perplexity, xent loss, neg elbo, contrastive loss, triplet loss, hinge loss, huber loss, focal loss, infonce loss", stem="loss", rank=-1),
    # Names of objectives that stand for the loss where nothing says "loss".
    **_many(Role.LOSS, LOWER, "xe, pinball, log cosh, logcosh, infonce, info nce, nt xent, ntxent, contrastive, triplet, hinge, huber, smooth l1, focal, ctc", stem="loss", rank=-4),
    **_many(Role.LOSS, LOWER, "chi2, chisq, chi squared, chi square", stem="loss", rank=-4),
    # Parts of a loss.
    **_many(
        Role.LOSS_COMPONENT,
        LOWER,
        "box loss, cls loss, dfl loss, obj loss, pose loss, kobj loss, seg loss, mask loss, bbox loss, loss cls, loss bbox, loss mask, loss box reg, "
        "loss rpn cls, loss rpn loc, classification loss, localization loss, regularization loss, reg loss, l1 loss, l2 loss, aux loss, kl loss, "
        "kld loss, recon loss, reconstruction loss, mel loss, fm loss, feature matching loss, duration loss, commit loss, vq loss, z loss, perceptual loss, "
        "style loss, content loss, gp loss, gradient penalty, iou loss, giou loss, loss giou, loss dfl, loss obj, loss iou, loss ce, loss kl, loss recon, loss reg",
    ),
    **_many(Role.LOSS_COMPONENT, LOWER, "kl, kld, kl div, kl divergence, recon, reconstruction, misfit, residual loss, recon err, recon error, reconstruction error, rec err", rank=-3),
    # Quality, higher is better.
    **_many(Role.METRIC, HIGHER, "accuracy, accuracies, accs, pacc, pixel acc, prec1, percent correct, pct correct, frac correct, fraction correct, correct rate, correct ratio, share correct, ok frac, frac ok, pct ok, ok pct, ok rate, share ok, right frac, frac right, right pct, pct right, right rate, share right, right share, fraction right, percent right, tokacc, right answers, answers right, fraction of correct, acc, accu, acc1, top1, top 1, top 1 acc, top1 acc, top1 accuracy, acc top1, accuracy top1, precision at 1", stem="accuracy"),
    **_many(Role.METRIC, HIGHER, "correct, agreement", stem="accuracy", rank=-2),
    # HiFi-GAN calls the L1 distance of two spectrograms an error; it is no rate.
    **_many(Role.METRIC, LOWER, "mel spec error, mel spectrogram error, mel error", stem="mel_distance"),
    **_many(Role.METRIC, HIGHER, "macc, mean acc", stem="balanced_accuracy"),
    **_many(Role.METRIC, HIGHER, "allacc, all acc, pixel acc, pixel accuracy", stem="accuracy"),
    **_many(Role.METRIC, HIGHER, "sparse categorical accuracy, categorical accuracy, binary accuracy, top 1 accuracy", stem="accuracy"),
    **_many(Role.METRIC, HIGHER, "token accuracy, mean token accuracy, next token accuracy", stem="token_accuracy"),
    **_many(Role.METRIC, HIGHER, "top5, top5 acc, top5 accuracy, acc top5, accuracy top5, acc5, top 5, top 5 acc, top 5 accuracy, top 3 accuracy", stem="top5_accuracy", rank=1),
    **_many(Role.METRIC, HIGHER, "exp rate, exprate, expression rate, expression recognition rate", stem="exact_match", rank=1),
    **_many(Role.METRIC, HIGHER, "balanced accuracy, exact match, em, exact, partial match, success rate, win rate, winrate, battle won, win num, hit rate, pass rate, uas, las", rank=1),
    **_many(Role.METRIC, HIGHER, "minp, r 1, r 5, r 10, hr 1, hr 5, hr 10, hr 20, hr 50, hr 100, hr10, hr5, hr20, ccc, harrell c, sdri, tpr, edit sim, hit ratio, p 1, success, is success, purity, completeness, lwlrap, motp, sisdr, pcc, plcc, srcc, ppv, npv, sharpe, sharpe ratio, bleu1, bleu2, bleu3, mpa, fwiou", rank=-1),
    **_many(Role.METRIC, HIGHER, "f1, f1macro, f1micro, cf1, of1, f1 score, fscore, f score, f1 macro, macro f1, f1 micro, micro f1, f1 weighted, weighted f1", stem="f1"),
    **_many(Role.METRIC, HIGHER, "precision, prec, recall, sensitivity, specificity, auc, auroc, auprc, aupro, rocauc, prauc, gauc, mauc, roc auc, auc roc, pr auc, average precision, mcc, kappa, qwk, gini"),
    **_many(Role.METRIC, HIGHER, "map 0 5 0 95, map50 95, map 50 95, map 5095, cocoap50 95, coco ap50 95", stem="map50_95"),
    **_many(Role.METRIC, HIGHER, "map 0 5, map 50, map50, cocoap50, coco ap50", stem="map50"),
    **_many(Role.METRIC, HIGHER, "map 0 75, map 75, map75", stem="map75"),
    **_many(Role.METRIC, HIGHER, "map,  ap, ap50, ap75, ar, iou, miou, mean iou, jaccard, dice, dice score, dice coef, dice coefficient, dicecoef, dsc, mdice, pck, oks, hota, mota, idf1, pq"),
    **_many(Role.METRIC, HIGHER, "bleu, bleu4, bleu 4, sacrebleu, rouge, rouge1, rouge2, rougel, rougelsum, meteor, chrf, cider, spice, approx bleu score, bertscore, bert score"),
    **_many(Role.METRIC, HIGHER, "psnr, ssim, ms ssim, pesq, stoi, mos, snr, si sdr, sdr, inception score, clip score"),
    **_many(Role.METRIC, HIGHER, "ic, rank ic, information coefficient, info coef, r2, r2 score, r 2, rsquared, r squared, nse, nash sutcliffe, nash sutcliffe efficiency, kge, skill score, pearson, spearman, pearsonr, spearmanr, correlation, matthews correlation, matthews corrcoef, corrcoef, corr, explained var"),
    **_many(Role.METRIC, HIGHER, "hmean, ndcg, mrr, hits, hit, elo, elbo, fitness, neg log perplexity, quality", rank=-1),
    **_many(Role.METRIC, HIGHER, "log likelihood, loglik, log lik, log prob, log prob per frame, log evidence, ll, logp, log p, logprob, logprobs, log probs", stem="log_likelihood", rank=-1),
    **_many(Role.METRIC, HIGHER, "d2, d2 score, delta1, delta 1, delta2, delta 2, delta3, delta 3, c index, cindex, concordance, concordance index", rank=-1),
    **_many(Role.METRIC, HIGHER, "negative predictive value, uqi, dnsmos, utmos, bleurt, youden, youden j, youdens j, gmean, g mean, informedness, markedness, ks statistic, rand index, adjusted rand index, adjusted rand score, adjusted rand, ari, nmi, ami, normalized mutual info, silhouette, silhouette score, calinski harabasz, v measure, homogeneity, spl, softspl, soft spl, pckh, nds, lddt, gdt, gdt ts, validity, qed, joint goal, jga, dprime, d prime, kendall, kendall tau, kendalltau, fbeta, f beta, csi, critical success index, heidke, heidke skill score, hss, threat score, icc, krippendorff, krippendorff alpha, aucroc, roc, nsd, normalized surface dice, deta, assa", rank=-1),
    **_many(Role.METRIC, HIGHER, "tpr fpr, tar far, tpr at fpr, tar at far", stem="tpr", rank=2),
    **_many(Role.METRIC, HIGHER, "1 ned, 1 cer, 1 wer, one minus cer, one minus wer", stem="one_minus_error", rank=3),
    **_many(Role.METRIC, HIGHER, "won mean, games won, rounds won", rank=-1),
    **_many(Role.METRIC, HIGHER, "score", rank=-2),
    # Quality, lower is better.
    **_many(Role.METRIC, LOWER, "mae, mad, mean absolute error, mean absolute deviation, l1 error, l1", stem="mae"),
    **_many(Role.METRIC, LOWER, "mse, mean squared error", stem="mse"),
    **_many(Role.METRIC, LOWER, "rmse, root mean squared error, rmsle, mape, smape, medae, mase, mpjpe, epe, abs rel, absrel, sq rel, sqrel, silog, lg10, nrmse, nmse, msle, wape, crps, medr, meanr, mean rank, median rank, frr, cdl1, cdl2"),
    **_many(Role.METRIC, LOWER, "error, err, error rate, merror, err1, top1 err, top5 err, err5, hd95, hausdorff, wer, cer, ter, phone error rate, phoneme error rate, word error rate, char error rate, eer, hamming loss, batch wer"),
    **_many(Role.METRIC, LOWER, "top 1 error, top 1 err, top 1 error rate", stem="top_1_error", rank=2),
    **_many(Role.METRIC, LOWER, "top 5 error, top 5 err, top 5 error rate", stem="top_5_error", rank=2),
    **_many(Role.METRIC, LOWER, "ergas, hamming distance, wmape, rse, rrse, rae, relative squared error, relative absolute error, tweedie deviance, poisson deviance, gamma deviance, cvrmse, cv rmse, mdape, winkler, winkler score, earth mover distance, earth movers distance, assd, mean surface distance, min dcf, fpr95, fpr 95, fpr at 95, davies bouldin, aepe, minade, minfde, min ade, min fde, rmsd, fcd, misclassification, misclassification rate, misclassified, edit distance, edit dist, levenshtein, levenshtein distance, normalized edit distance, js divergence, integrated brier, integrated brier score", rank=-1),
    **_many(Role.METRIC, LOWER, "ppl, perp, perplexity, word perplexity, token perplexity", stem="perplexity"),
    **_many(Role.METRIC, LOWER, "bpb, bpc, bpd, bpn, bits per byte, bits per char, bits per dim", stem="bits"),
    **_many(Role.METRIC, LOWER, "fid, fid5k, fid10k, fid50k, mindcf, miss rate, kid, lpips, nme, chamfer, ade, fde, mcd, brier, brier score, false negative, false positive, fnr, fpr"),
    # Optimiser.
    **_many(Role.LR, NONE, "global schedule, lrn rate, learn speed, learning speed, step length, steplen, step len, stepsz, learnrate, rate sgd, rate adam, rate learn, opt rate, rate opt, adam alpha, lr, lrs, lrate, l rate, learn rate, learning rate, step size, stepsize, current lr, cur lr, last lr, base lr, actor lr, lr0, learningrate, optim lr", stem="lr"),
    **_many(Role.COUNTER, NONE, "lr mul, lr scale, momentum, mom, weight decay, wd, clip range, ent coef, batch size, bsz, wpb, global batch size, world size, kl coef", rank=3),
    **_many(Role.GRAD_NORM, NONE, "grad norm, gradients l2, grad len, gradlen, gradient len, gradl2, gradient size, grad size, size gradient, gradient euclid, norm of the gradient, norm gradient, nrm grad, nrm g, abs grad, gr l2, g l2, gn global, normgrad, nabla norm, norm nabla, gradient norm, gradients norm, grads norm, gradmag, grad tot, pre clip gradient, preclip gradient, grad rms, clipped gradient, gnorm, g norm, global norm, global grad norm, norm grad, grad global norm, total norm, norms grad, norms grads, norm grads, grad norms, grads norms, gradient norms, gradient l2, grads l2, norms gradient, norm gradient, norm g, dl norm, norm dl, norm dj, dj norm, gradj, normdj, grad j, gradient length, length of the gradient, grad length, grad magnitude, gradient magnitude, grad mag", stem="grad_norm"),
    **_many(Role.GRAD_NORM, NONE, "grads total, grad total, total grad, total grads, total gradient, gradients total, gradient global l2, gradients global l2, grads global l2, grad global l2, grad 2 norm total, grad 2 0 norm total, grad norm total, total grad norm, grads total norm, gradient total norm, l2 norm grad global, avg grad norm, norm of gradients", stem="grad_norm", rank=2),
    **_many(Role.GRAD_NORM, NONE, "l2 grad, l2 grads, l2 gradient, l2 gradients, grad 2 0 norm, grad 2 norm, l2 norm grad, grad l2 norm, grad l2, grad norm l2, gradient l2 norm", stem="grad_norm", rank=1),
    **_many(Role.WEIGHT_NORM, NONE, "weight l2, l2 params, l2 param, l2 weights, weights global l2, weights length, weight length, length weight, length of the weight, length weights, size weights, size of weights, weight size, norm of the weights, nrm w, w l2, theta l2, wlen, weights l2, weight norm, coef l2, l2 of all weights, weights norm, w norm, param norm, params norm, parameter norm, parameters norm, l2 norm param global, weight rms, model norm, network norm, params l2, norm l2 weight, weight l2 norm, wnorm, norm weights, norms weights, theta norm, norm theta, norms param, norms params, norm param, weight norms, l2 weights, norm params", stem="weight_norm"),
    **_many(Role.WEIGHT_NORM, NONE, "weights global norm, weight global norm, params global norm, param global norm, parameters global norm, weights total norm, params total norm", stem="weight_norm", rank=2),
    **_many(Role.WEIGHT_NORM, NONE, "l2 norm param", stem="weight_norm", rank=1),
    **_many(
        Role.UPDATE_RATIO,
        NONE,
        "update ratio, upd ratio, update to weight ratio, update weight ratio, weight update ratio, update to weight, update to param ratio, update data ratio, "
        "grad data ratio, relative update, update to data, update param ratio",
        rank=2,
        stem="update_ratio",
    ),
    **_many(Role.COUNTER, NONE, "l2 norm update, l2 norm moment, weight update rms, update norm, momentum norm", rank=2),
    **_many(Role.CLIP_FRACTION, NONE, "clip fraction, clipfrac, clip frac, clip, clipped fraction, fraction clipped, clip rate, grad clip fraction, clip ratio, clipped, grad clipped", stem="clip_fraction"),
    **_many(Role.LOSS_SCALE, NONE, "loss scale, loss scaler, grad scaler, amp scaler, grad scale, scaler scale, amp scale, scale amp, fp16 scale, scale fp16, scaler, loss scaling, metric grad scaler, dynamic loss scale, dynamic scale", rank=3, stem="loss_scale"),
    **_many(Role.HAS_NAN_GRAD, NONE, "has nan grad, have nan, nan count, num nan, skipped steps, skipped updates, amp skipped, overflow count, num overflows, overflows, non finite, nonfinite, is nan, nan grad, nan grads, has nan, grad has nan, found inf, nan gradients, inf grads, skipped iters, nonfinite grads, num nan grads", rank=3, stem="has_nan_grad"),
    # Predictions.
    **_many(Role.CONFIDENCE, HIGHER, "confidence, mean confidence, avg confidence, certainty, mean certainty, sureness, p max, pmax, max p, mean p max, prob max, probability max, mean prob max, max prob, max probability, mean max prob, top prob, mean max softmax, max softmax, softmax max, mean conf, conf mean, avg conf, conf", stem="confidence", rank=1),
    **_many(Role.CALIBRATION_ERROR, LOWER, "ece, calibration error, expected calibration error, mce", stem="ece", rank=1),
    **_many(Role.BASELINE, HIGHER, "majority acc, majority accuracy, accuracy baseline, majority baseline acc, majority baseline, baseline accuracy, majority class, majority rate, input independent baseline", stem="accuracy", rank=3),
    **_many(Role.BASELINE, LOWER, "baseline loss, zero input loss, input independent loss, input independent baseline loss, constant input loss", stem="loss", rank=3),
    **_many(Role.PREDICTION_STAT, NONE, "prediction mean, predictions mean, pred mean, mean pred, mean prediction, output mean", sub_kind="mean", rank=2, stem="prediction"),
    **_many(Role.PREDICTION_STAT, NONE, "prediction std, predictions std, pred std, std pred, output std", sub_kind="std", rank=2, stem="prediction"),
    **_many(Role.PREDICTION_STAT, NONE, "pred std ratio, prediction std ratio, std ratio, predictions std ratio", sub_kind="std_ratio", rank=3, stem="prediction"),
    **_many(Role.PREDICTION_STAT, NONE, "prediction entropy, pred entropy, predictive entropy, softmax entropy, token entropy, logit entropy, output entropy", sub_kind="entropy", rank=2, stem="prediction"),
    **_many(Role.LABEL_SHARE, NONE, "label mean, labels mean, target mean, targets mean", sub_kind="mean", rank=2, stem="label"),
    # Counters and cost.
    **_many(Role.EPOCH, NONE, "epoch, epochs, current epoch, misc epoch, epoch id", rank=-3, stem="epoch"),
    **_many(
        Role.COUNTER,
        NONE,
        "samples, tokens, total samples, total tokens, global step, iter, iteration, iterations, num updates, consumed samples, num tokens, num input tokens seen, total flos, total flops, samples seen, "
        "tokens seen, eta seconds, eta, uptime, wall, train wall, elapsed, time elapsed, total timesteps, n updates, env step, "
        "patience, num zeros, steps, step, skipped train samples, num batches, num gen batches, total num tokens, time since start, total episodes, episodes, num episodes, "
        "epsilon, exploration rate, exploration epsilon, kimg, nimg",
        rank=-2,
    ),
    **_many(
        Role.THROUGHPUT,
        HIGHER,
        "throughput, tok per s, tok per sec, rays per sec, examples s, clips s, chars s, kchar s, qps, exps, tgs, games hour, chars per second, pairs s, tok s, ktok s, ex s, pictures each second, images each second, rows a second, samples a second, steps a second, items per sec, items per second, batches per sec, fps, sps, tps, wps, ups, frames per second, frames per sec, samples per second, steps per second, tokens per second, tokens per sec, samples per sec, steps per sec, "
        "global step sec, steps sec, steps per s, samples per s, tokens per s, images per s, it per s, ex per sec, ex per second, ex sec, examples per sec, examples sec, examples per second, images per second, imgs per sec, it s, its per sec, imgs sec, img sec, imgs s, img s, images s, samples s, tokens s, steps s, batches sec, iters sec, iter s, tflops, mfu, batches per second, "
        "seqs per second, tgtper, tokens per second per gpu, tokens sec, samples sec, sequences per second, images sec, iterations per second, images second, samples second, steps second, tokens second, total fps",
        rank=3,
    ),
    **_many(
        Role.STEP_TIME,
        LOWER,
        "sec it, s it, ms it, sec iter, ms iter, sec batch, ms batch, sec step, ms step, step time, time step, step ms, ms per step, ms per iter, secs per step, sec per step, seconds per step, s per step, sec per iter, seconds per iter, iteration time, iter time, batch time, time per step, time per iteration, epoch time, step timing in s, runtime, train runtime, forward time, "
        "backward time, batch cost, end to end, learning time, collection time, elapsed time, optim step time, train time, timing, timing s, time, duration seconds",
        rank=-1,
    ),
    **_many(Role.LOADER_TIME, LOWER, "data time, reader cost, time data, dataload time, data load time, data fetch time, loader time, data loading, dataloader time, load time, data loading s, fetch time, data wait", rank=3),
    **_many(
        Role.MEMORY,
        NONE,
        "memory, mem, gpu memory, max memory, peak memory, cuda memory, memory allocated, max memory allocated, vram, gpu mem, cpu memory used",
        rank=3,
    ),
    **_many(Role.MEMORY, NONE, "num ooms, num alloc retries"),
    # Reinforcement learning.
    **_many(
        Role.REWARD,
        HIGHER,
        "ep rew mean, ep rew, episode score, episode reward, episode reward mean, episode return, episode return mean, episodic return, mean reward, average reward, avg reward, reward mean, "
        "cumulative reward, returns stat mean, mean return, ep ret, average ep ret, average return, eval return, test return, total reward, episode rewards, rlhf reward, return mean, reward per episode",
        rank=2,
        stem="reward",
    ),
    **_many(Role.REWARD, HIGHER, "reward, rewards, return, returns", stem="reward"),
    **_many(Role.EPISODE_LENGTH, NONE, "ep len mean, ep len, game len, average ep len, episode length, episodic length, mean ep length, episode len mean, mean episode length, episode lengths, len mean, ep length, episode len, episode steps, steps per episode, steps episode, avg episode steps, episode duration, episode durations", rank=3),
    **_many(Role.EPISODE_LENGTH, NONE, "average length, avg length, mean length", rank=1),
    **_many(Role.POLICY_LOSS, NONE, "loss policy, loss actor, losses actor, losses policy, policy loss, policy losses, actor losses, policy gradient loss, pg loss, actor loss, a loss, surrogate, policy avg, loss policy avg, p loss, pi loss, loss pi, losspi", rank=2),
    **_many(Role.VALUE_LOSS, LOWER, "loss value, loss critic, losses critic, losses value, loss vf, value loss, value losses, critic losses, vf loss, critic loss, c loss, value function, q value loss, q value loss1, q value loss2, q1 loss, q2 loss, critic1 loss, critic2 loss, td error, loss td error, loss td, qf loss, qf1 loss, qf2 loss, td loss, cval loss, value avg, v loss, q loss, loss v, loss q, lossv, lossq, loss value avg", rank=2),
    **_many(Role.ENTROPY, NONE, "entropy, policy entropy, entropy avg, entropy loss, loss entropy, entropy mean, mean entropy", rank=1, stem="entropy"),
    **_many(Role.APPROX_KL, NONE, "approx kl, approxkl, approxkl avg, approximate kullback leibler, old approx kl, mean kl, ppo kl, kl mean, policy kl", rank=2, stem="approx_kl"),
    **_many(Role.POLICY_CLIP_FRACTION, NONE, "pg clipfrac, pg clip fraction, ppo clip ratio, policy clipfrac avg, clipfrac avg, ratio clip fraction", rank=3, stem="policy_clip_fraction"),
    **_many(Role.EXPLAINED_VARIANCE, HIGHER, "explained variance, vf explained var, explained var", rank=3, stem="explained_variance"),
    # GAN.
    **_many(Role.GENERATOR_LOSS, NONE, "loss g, losses g, losses generator, g loss, generator loss, gen loss, loss gen, loss generator, gloss, lossg, errg, loss g total", rank=3),
    **_many(Role.DISCRIMINATOR_LOSS, NONE, "loss d, losses d, losses discriminator, d loss, discriminator loss, disc loss, loss disc, loss discriminator, dloss, lossd, errd, loss d total, critic wgan loss", rank=3),
    **_many(Role.LOSS_COMPONENT, LOWER, "d real loss, d fake loss, loss d real, loss d fake, disc real loss, disc fake loss, real loss, fake loss, loss real, loss fake, d loss real, d loss fake, discriminator loss real, discriminator loss fake", rank=3),
    **_many(Role.DISCRIMINATOR_SCORE, NONE, "d x, d g z, d real, d fake, real score, fake score, d loss real score, score real, score fake, critic real, critic fake, disc real, disc fake", rank=3),
    # Preference tuning.
    **_many(Role.CHOSEN_REWARD, HIGHER, "rewards chosen, chosen rewards, chosen reward, reward chosen", rank=3),
    **_many(Role.REJECTED_REWARD, NONE, "rewards rejected, rejected rewards, rejected reward, reward rejected, reject reward", rank=3),
    **_many(Role.REWARD_MARGIN, HIGHER, "rewards margins, reward margin, rewards margin, margin, margins, reward margins", rank=3),
    **_many(Role.PREFERENCE_ACCURACY, HIGHER, "rewards accuracies, reward accuracy, rewards accuracy, preference accuracy, reward accuracies", rank=3),
    **_many(Role.REWARD_STD, NONE, "reward std, rewards std, std reward, reward standard deviation", rank=3),
    # Never a measurement.
    **_many(Role.IGNORED, NONE, "hp metric", rank=9),
}  # fmt: skip

LONGEST = 5
"""Words in the longest phrase."""

NOISE = frozenset(
    [
        "epoch",
        "epochs",
        "step",
        "steps",
        "batch",
        "iter",
        "iteration",
        "iterations",
        "avg",
        "average",
        "mean",
        "running",
        "smooth",
        "smoothed",
        "smoothened",
        "ema",
        "moving",
        "per",
        "log",
        "logs",
        "metric",
        "metrics",
        "stats",
        "stat",
        "summary",
        "scalar",
        "scalars",
        "performance",
        "monitor",
        "charts",
        "chart",
        "result",
        "results",
        "current",
        "cur",
        "global",
        "final",
        "overall",
        "total",
        "misc",
        "the",
        "of",
        "at",
        "on",
        "by",
        "and",
        "history",
        "dataloader",
        "idx",
        "main",
        "rank",
        "plot",
        "plots",
        "curve",
        "curves",
        "tb",
        "tensorboard",
        "multiclass",
        "binary",
        "categorical",
        "sparse",
        "log10",
        "log2",
        "while",
        "du",
        "del",
        "della",
        "der",
        "des",
        "los",
        "las",
        "dos",
        "do",
        "now",
    ]
)
"""Words that say how a series was taken, not what it measures."""

ACTIVATION_KINDS = {
    **dict.fromkeys(
        (
            "fraction of zero values", "fraction of zeros", "zero fraction", "zeros fraction", "zeros", "zero frac", "frac zero", "zero ratio", "frac zeros", "dead relu fraction",
            "dead fraction", "dead ratio", "fraction dead", "dead units", "dead relu", "dead relus", "dead neurons", "dead", "sparsity", "inactive",
        ),
        "zero_fraction",
    ),
    **dict.fromkeys(("saturated fraction", "saturation fraction", "frac saturated", "saturated frac", "sat frac", "sat fraction", "frac sat", "saturation rate", "saturation", "saturated"), "saturated_fraction"),
    "std": "std",
    "stddev": "std",
    "mean": "mean",
}  # fmt: skip
"""Words of a per-layer activation series -> sub_kind; std and mean only beside a word for activations."""
