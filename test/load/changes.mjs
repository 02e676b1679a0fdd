// What changes under the clients: trust, deny list, CRLs, and a responder that fails. Each change knows what becomes of whose verdict.
import { setTimeout as pause } from 'node:timers/promises'
import { accepted, expired, revoked, undetermined, unknownIssuer } from './population.mjs'

/** The roots that are trusted, as PEM; the rotation goes from the old CA by both to the new one, and back. */
const rotation = [
  { old: true, new: false },
  { old: true, new: true },
  { old: false, new: true },
  { old: true, new: true },
]

/**
 * Milliseconds between two reloads, for each connection: after one, every certificate that is open is decided about again, and a thread that
 * did nothing else would measure nothing else.
 */
const perConnection = 0.5
const atLeast = 400
const healthyMilliseconds = 8_000
const failingMilliseconds = 4_000

export function createChanges({ pki, authorities, bystander, groups }) {
  const group = (name) => groups.find((each) => each.name === name)
  const fingerprints = (name) => group(name).credentials.map(({ fingerprint }) => fingerprint)
  const serials = (name) => group(name).credentials.map(({ serialNumber }) => ({ serialNumber }))
  const between = Math.max(atLeast, perConnection * groups.reduce((sum, { size }) => sum + size, 0))
  const reloads = { trust: 0, 'deny list': 0, CRL: 0 }

  const trust = (step) => {
    const { old, new: isNew } = rotation[step % rotation.length]
    // A CA that nobody has a certificate of comes and goes: another trust store, the same verdicts.
    const roots = [
      pki.root,
      authorities.ocsp,
      ...(old ? [authorities.old] : []),
      ...(isNew ? [authorities.new] : []),
      ...(step % 3 === 0 ? [] : [bystander]),
    ]
    return roots.map(({ certificate }) => certificate.pem).join('')
  }
  const denied = (isHeld) =>
    [...fingerprints('on the deny list'), ...(isHeld ? fingerprints('held by deny list') : [])].join('\n')
  const crl = async (isHeld) => {
    const listed = [...serials('revoked by CRL'), ...(isHeld ? serials('held by CRL') : [])]
    return (await pki.crl({ revoked: listed, thisUpdate: new Date() })).pem
  }

  /** What the server starts with. */
  const start = async () => ({
    trust: trust(0),
    intermediates: pki.intermediate.certificate.pem,
    denied: denied(false),
    crls: {
      'issuing.crl': await crl(false),
      'old.crl': (await authorities.old.crl()).pem,
      'new.crl': (await authorities.new.crl()).pem,
    },
  })

  /** Changes one thing; before and while it is under way, either verdict is right. */
  async function change(verdicts, done) {
    const settle = Object.entries(verdicts).map(([name, verdict]) => group(name).timeline.change(verdict))
    await done()
    for (const settled of settle) settled()
  }

  /** Reloads one after the other until `isOver`. `tell` has the server do it, and resolves when it is done. */
  async function reload(tell, isOver) {
    for (let round = 1; !isOver(); round++) {
      const { old, new: isNew } = rotation[round % rotation.length]
      const becoming = { 'of the old CA': old, 'of the new CA': isNew }
      const verdicts = Object.fromEntries(
        Object.entries(becoming).map(([name, isTrusted]) => [name, isTrusted ? accepted : unknownIssuer]),
      )
      await change(verdicts, () => tell('trust', { pem: trust(round) }))
      reloads.trust++
      await pause(between)
      if (isOver()) return
      const isHeld = round % 2 === 1
      const verdict = isHeld ? revoked : accepted
      await change({ 'held by deny list': verdict }, () => tell('deny', { entries: denied(isHeld) }))
      reloads['deny list']++
      await pause(between)
      if (isOver()) return
      const pem = await crl(isHeld)
      await change({ 'held by CRL': verdict }, () => tell('crl', { name: 'issuing.crl', pem }))
      reloads.CRL++
      await pause(between)
    }
  }

  /**
   * The responder fails and recovers. From its first failure until it has answered about each of its certificates again, a good one may be
   * undetermined; it is never refused for another reason, and a revoked one never let in.
   */
  async function failNowAndThen(responder, isOver) {
    const { timeline, distinct } = group('good by OCSP')
    let wait = 2_000
    while (!isOver()) {
      await pause(wait)
      if (isOver()) return
      const done = timeline.change(accepted, undetermined)
      responder.fail(true)
      await pause(failingMilliseconds)
      responder.fail(false)
      done()
      while (responder.answered.size < distinct && !isOver()) await pause(50)
      // The last answer is on its way to the decisions that wait for it.
      if (!isOver()) timeline.from(Date.now() + 1_000, accepted)
      wait = healthyMilliseconds
    }
  }

  /** Certificates that end while their connections are open: notAfter is inclusive, and a whole second. */
  function end(notAfter) {
    const { timeline } = group('ending')
    timeline.from(notAfter.getTime(), accepted, expired)
    timeline.from(notAfter.getTime() + 1_000, expired)
  }

  return { start, reload, failNowAndThen, end, reloads }
}
