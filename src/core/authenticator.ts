import { hash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { type AnyClientCertError, deny, isClientCertError, withAnswer } from '../errors.js'
import { type ClientIdentity, type Principal, toIdentity } from '../identity/identity.js'
import { IssuerMemory } from '../path/issuer-memory.js'
import { endOf } from '../path/validate-path.js'
import { verifiedPaths } from '../path/verified-paths.js'
import { firstUnrevoked } from '../revocation/checker.js'
import { demand } from '../rules/rule.js'
import type { AnyRequest, PresentedChain, Reading } from '../source/source.js'
import { connectionOf } from '../source/tls-socket.js'
import { claim } from './claims.js'
import type { Decision } from './decision.js'
import { type Authentication, DecisionMemory, type Epoch } from './decision-memory.js'
import { explain } from './diagnosis.js'
import { watchExpiry } from './expired-anchors.js'
import { lineFor } from './log.js'
import { type AuthenticatorOptions, resolveOptions, type Settings } from './options.js'
import { parsePresented } from './presented.js'
import { checkServer } from './server-check.js'
import { readingOf, type Standing, stampOf } from './standing.js'

/** Decides who a client is. Made by {@link createAuthenticator}; one may serve any number of mounts, servers and sockets. */
export interface Authenticator {
  /** Decides about a request, by the configured source. Never rejects. */
  authenticate(request: AnyRequest): Promise<Decision>
  /** Decides about a connection without requests: upgrades, MQTT, bare TLS. Never rejects. */
  authenticateSocket(socket: TLSSocket): Promise<Decision>
  /** Decides about octets from elsewhere. Never rejects. */
  authenticateChain(chain: PresentedChain): Promise<Decision>
  /** Resolves when everything that was configured is loaded and fresh. */
  ready(): Promise<void>
  /** Stops watching files. Everything after it is refused with `ERR_CLIENT_CERT_NOT_READY`. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How a mount wants a decision reported; the decision itself does not depend on it. */
export interface Reporting {
  readonly enforced: boolean
  /** An absent certificate is no refusal at this mount. */
  readonly absentPasses: boolean
  /** Decided again, by ourselves: only a refusal is news. */
  readonly refusalsOnly?: boolean
}

const enforcing: Reporting = { enforced: true, absentPasses: false }

/** @internal The door for mounts and guards of any copy of this package. */
export const internals = Symbol.for('mtls-identity/1.Authenticator')

export interface AuthenticatorInternals extends Authenticator {
  readonly [internals]: {
    decide(request: AnyRequest, reporting: Reporting): Promise<Decision>
    report(decision: Decision, reporting: Reporting, request: AnyRequest | undefined, remembered: boolean): void
    readonly settings: Settings
    /** Decides again about what was accepted before, as it is remembered on a connection or in an identity. */
    decideAgain(standing: Standing, request: AnyRequest | undefined): Promise<Decision>
    /** The same of path and revocation alone, without rules. Resolves to the refusal, which was reported. */
    authenticateAgain(standing: Standing): Promise<Authentication | AnyClientCertError>
    /** What was accepted on a connection last, whether or not it holds. */
    standingOf(socket: object): Standing | undefined
    /** Changes whenever remembered decisions have to be made again. */
    stamp(): string
  }
}

/**
 * Makes an authenticator. Reads files, checks every option, and throws `ClientCertConfigError` with the fix where something is wrong.
 *
 * @example
 * const auth = createAuthenticator({ trust: './clients-ca.pem', revocation: 'none' })
 * https.createServer(tlsServerOptions(auth, { key, cert }), app)
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const settings = resolveOptions(options)
  const { source, rules, resolve, revocation, profile, now } = settings
  const memory = new DecisionMemory()
  const issuers = new IssuerMemory()
  let closed = false
  const stopWatching = watchAnchors(settings)

  /** The way of a request: octets → certificates → path → revocation → identity → rules. Throws a refusal. */
  async function accept(reading: Reading, request: AnyRequest | undefined, at: number): Promise<Accepted> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      if (reading.presented === undefined) throw deny('ERR_CLIENT_CERT_ABSENT', reading.absent)
      const epoch = epochOf(settings)
      const moment = attempt === 1 ? at : now()
      const [authentication, remembered] = await authenticate(reading, reading.presented, epoch, moment)
      if (rules !== undefined) await demand(rules, authentication.identity, request)
      // A checker, resolve() or a rule may have taken its time: what changed meanwhile counts.
      if (!closed && isSameEpoch(epoch, epochOf(settings)) && now() < endOf(authentication.path.notAfter)) {
        return { authentication, remembered }
      }
    }
    throw deny('ERR_CLIENT_CERT_NOT_READY', {
      reason: 'trust or revocation changed while the request was decided about',
    })
  }

  async function authenticateAgain(standing: Standing): Promise<Authentication | AnyClientCertError> {
    const at = now()
    try {
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      const reading = readingOf(standing)
      const [authentication] = await authenticate(reading, reading.presented, epochOf(settings), at)
      return authentication
    } catch (thrown) {
      const error = isClientCertError(thrown) ? thrown : internalError(thrown)
      report({ decidedAt: new Date(at), enforced: true, outcome: 'refused', error }, enforcing, undefined, false)
      return error
    }
  }

  async function authenticate(
    reading: Reading,
    presented: PresentedChain,
    epoch: Epoch,
    at: number,
  ): Promise<[Authentication, remembered: boolean]> {
    const session = 'session' in reading ? reading.session : undefined
    const ofSession = session && memory.ofSession(session, epoch, at)
    if (ofSession !== undefined) return [ofSession, true]

    const key = presented.via + hash('sha256', presented.certificate, 'base64')
    const ofCertificate = memory.ofCertificate(key, epoch, at)
    if (ofCertificate !== undefined) {
      if (session !== undefined) memory.rememberSession(session, ofCertificate, epoch)
      return [ofCertificate, true]
    }
    const refusalKey = key + presented.intermediates.map((der) => hash('sha256', der, 'base64')).join()
    const refused = memory.refusalOf(refusalKey, epoch, at)
    // Its own error for every request: applications write to them.
    if (refused !== undefined) throw withAnswer(refused.error, {})

    try {
      const authentication = await validate(reading, presented, epoch, at)
      memory.remember(key, session, authentication, epoch)
      return [authentication, false]
    } catch (error) {
      if (isClientCertError(error)) memory.rememberRefusal(refusalKey, error, epoch, at)
      throw error
    }
  }

  /** Everything that is done for a certificate that is not remembered. */
  async function validate(
    reading: Reading,
    presented: PresentedChain,
    epoch: Epoch,
    at: number,
  ): Promise<Authentication> {
    const { endEntity, intermediates, unreadable } = parsePresented(presented, reading, issuers)
    const pool = { presented: intermediates, configured: epoch.intermediates, memory: issuers }
    try {
      const paths = verifiedPaths(endEntity, epoch.trust, pool, profile, at)
      const { path, holdsUntil } = await firstUnrevoked(paths, revocation, at, { profile, pool })
      issuers.remember(path)
      const identity = await identify(toIdentity(path, presented.via), (principal) =>
        toIdentity(path, presented.via, principal),
      )
      claim(identity, { authenticator, path })
      return { identity, path, decidedAt: at, holdsUntil: Math.min(holdsUntil, endOf(path.notAfter) - 1) }
    } catch (error) {
      throw isClientCertError(error) ? explain(error, { reading, unreadable, trust: settings.trust.label }) : error
    }
  }

  /** The application's word for an identity, where it has one. */
  async function identify(
    bare: ClientIdentity,
    withPrincipal: (principal: Principal) => ClientIdentity,
  ): Promise<ClientIdentity> {
    if (resolve === undefined) return bare
    const principal = await resolve(bare)
    // `allowed.has(…)` and `found && partner` are what people write: false and its like are nobody.
    if (!principal) {
      throw deny(
        'ERR_CLIENT_CERT_PRINCIPAL',
        { subject: bare.subject.toString(), fingerprint: bare.fingerprint },
        { depth: 0 },
      )
    }
    return withPrincipal(principal)
  }

  /** Time is read here, once. Whatever is thrown denies. */
  async function decide(read: () => Reading, request: AnyRequest | undefined, reporting: Reporting): Promise<Decision> {
    let decidedAt = new Date(Number.NaN)
    const { enforced } = reporting
    let decision: Decision
    let remembered = false
    try {
      const at = now()
      decidedAt = new Date(at)
      if (typeof at !== 'number' || Number.isNaN(decidedAt.getTime())) throw new RangeError('now() returned no time')
      const accepted = await accept(read(), request, at)
      const { identity, path, holdsUntil } = accepted.authentication
      decision = {
        decidedAt,
        enforced,
        outcome: 'accepted',
        identity,
        path,
        validUntil: new Date(holdsUntil),
      }
      remembered = accepted.remembered
    } catch (error) {
      const refusal = isClientCertError(error) ? error : internalError(error)
      decision = {
        decidedAt,
        enforced,
        outcome: refusal.code === 'ERR_CLIENT_CERT_ABSENT' ? 'absent' : 'refused',
        error: refusal,
      }
    }
    report(Object.freeze(decision), reporting, request, remembered)
    return decision
  }

  function report(
    decision: Decision,
    reporting: Reporting,
    request: AnyRequest | undefined,
    remembered: boolean,
  ): void {
    const isRefusal = decision.outcome === 'refused' || (decision.outcome === 'absent' && !reporting.absentPasses)
    if (isRefusal && settings.log !== undefined) {
      const { log } = settings
      quietly(() => log(lineFor(decision) as string, decision))
    }
    const { onDecision } = settings
    if (onDecision !== undefined && !(reporting.refusalsOnly === true && decision.outcome === 'accepted'))
      quietly(() => onDecision(decision, request === undefined ? { remembered } : { request, remembered }))
  }

  function decideRequest(request: AnyRequest, reporting: Reporting): Promise<Decision> {
    quietly(() => checkServer(request))
    return decide(() => source.read(request), request, reporting)
  }

  const authenticator: AuthenticatorInternals = {
    authenticate: (request) => decideRequest(request, enforcing),
    authenticateSocket: (socket) => decide(() => readSocket(settings, socket), undefined, enforcing),
    authenticateChain: (presented) => decide(() => ({ presented }), undefined, enforcing),
    ready: async () => {
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      await settings.trust.ready()
      await settings.intermediates?.ready()
      if (revocation !== 'none') await revocation.ready?.()
    },
    close: async () => {
      closed = true
      stopWatching()
      for (const store of settings.ownStores) store.close()
    },
    [Symbol.asyncDispose]: () => authenticator.close(),
    [internals]: {
      decide: decideRequest,
      report,
      settings,
      decideAgain: (standing, request) =>
        decide(() => readingOf(standing), request, { ...enforcing, refusalsOnly: true }),
      authenticateAgain,
      standingOf: (socket) => memory.lastOfSession(connectionOf(socket)),
      stamp: () => (closed ? 'closed' : stampOf(settings)),
    },
  }
  return Object.freeze(authenticator)
}

function watchAnchors(settings: Settings): () => void {
  try {
    return watchExpiry(settings)
  } catch (error) {
    for (const store of settings.ownStores) store.close()
    throw error
  }
}

interface Accepted {
  authentication: Authentication
  remembered: boolean
}

/** How often a request is decided about anew when what it was decided with changes meanwhile. */
const attempts = 3

const isSameEpoch = (a: Epoch, b: Epoch) =>
  a.trust === b.trust && a.intermediates === b.intermediates && a.revocation === b.revocation

/** Taken once per decision, so that a reload never mixes two stores in one. What is too old, or not loaded yet, decides nothing. */
function epochOf({ trust, intermediates, revocation }: Settings): Epoch {
  const reason = trust.unusable ?? intermediates?.unusable
  if (reason !== undefined) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason })
  return {
    trust: trust.current(),
    intermediates: intermediates?.current(),
    revocation: revocation === 'none' ? 0 : (revocation.generation ?? 0),
  }
}

function readSocket({ source }: Settings, socket: TLSSocket): Reading {
  if (source.readSocket !== undefined) return source.readSocket(socket)
  throw deny('ERR_CLIENT_CERT_ABSENT', {
    cause: 'not-http',
    requested: undefined,
    encrypted: socket.encrypted === true,
  })
}

function internalError(cause: unknown): AnyClientCertError {
  return deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'deciding about a request' }, { cause })
}

/** What a listener does must not change a decision. */
function quietly(call: () => void): void {
  try {
    const result: unknown = call()
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // An operator's log that fails is the operator's; the request was decided.
  }
}
