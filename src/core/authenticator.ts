import { hash } from 'node:crypto'
import { type AnyClientCertError, asInternal, deny, isClientCertError, withAnswer } from '../errors.js'
import { type ClientIdentity, type Principal, toIdentity } from '../identity/identity.js'
import { Ledger } from '../ledger/ledger.js'
import { daysLeftInUse, rotationReport } from '../ledger/rotation-report.js'
import { momentOf } from '../moment.js'
import { IssuerMemory } from '../path/issuer-memory.js'
import { RememberedPath } from '../path/remembered-path.js'
import { endOf } from '../path/validate-path.js'
import { quietly } from '../quietly.js'
import { isFailed, type RuleOutcome } from '../rules/outcome.js'
import { judge, partsOf, type Rule, refusalBy } from '../rules/rule.js'
import { type AnyRequest, type PresentedChain, type Reading, sessionIn } from '../source/source.js'
import { connectionOf } from '../source/tls-socket.js'
import { type Candidate, openCandidate } from './candidate.js'
import { claim } from './claims.js'
import { type Authenticator, type AuthenticatorInternals, internals } from './contract.js'
import type { AcceptedDecision, Decision } from './decision.js'
import { type Authentication, DecisionMemory, type Epoch, type KnownClient } from './decision-memory.js'
import { describing } from './describe.js'
import { diagnose } from './diagnosis.js'
import { epochOf, isSameEpoch, stampOf } from './epoch.js'
import { findPath } from './find-path.js'
import { closeOwn, trustedCas, watchAnchors, whenTrustIsLoaded } from './lifetime.js'
import { acceptance, refusal } from './make-decision.js'
import { type AuthenticatorOptions, resolveOptions, type Settings } from './options.js'
import { parsePresented } from './presented.js'
import { type KnownPrincipal, onlyName } from './principal.js'
import {
  askingFor,
  beginTrace,
  enforcing,
  factsOf,
  factsOfKnown,
  isAudited,
  isHeard,
  observe,
  type Reporting,
  report,
  type Trace,
} from './reporting.js'
import { checkRuleBinding } from './rule-check.js'
import { checkServer } from './server-check.js'
import { inSourceTime, refusalOfSource } from './source-failures.js'
import { readingOf, readSocket, type Standing } from './standing.js'

/**
 * Makes an authenticator. Reads files, checks every option, and throws `ClientCertConfigError` with the fix where something is wrong.
 *
 * @example
 * const auth = createAuthenticator({ trust: './clients-ca.pem', revocation: 'none' })
 * https.createServer(tlsServerOptions(auth, { key, cert }), app)
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return authenticatorOf(resolveOptions(options), options)
}

/** @param candidate what a candidate policy beside the settings is made from, where there is to be one */
function authenticatorOf(settings: Settings, candidateFrom?: AuthenticatorOptions): AuthenticatorInternals {
  const { source, rules, principals, principalFrom, revocation, enforced, now } = settings
  const memory = new DecisionMemory()
  const issuers = new IssuerMemory()
  const ask = askingFor(settings)
  let closed = false
  let candidate: Candidate | undefined
  const stopWatching = watchAnchors(settings)
  const ledger = new Ledger(settings)
  const stopWaiting = whenTrustIsLoaded(settings, () => {
    if (revocation !== 'none' && revocation !== enforced?.revocation) revocation.attach?.(() => trustedCas(settings))
  })

  /** The way of a request: octets → certificates → path → revocation → identity → rules. Throws a refusal. */
  async function accept(
    reading: Reading,
    request: AnyRequest | undefined,
    at: number,
    trace: Trace,
  ): Promise<Accepted> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      if (reading.presented === undefined) throw deny('ERR_CLIENT_CERT_ABSENT', reading.absent)
      const epoch = epochOf(settings)
      const moment = attempt === 1 ? at : now()
      trace.presented = reading.presented
      trace.remembered = false
      const known = await authenticate(reading, reading.presented, epoch, moment, trace)
      trace.identity = known.identity
      trace.path = known.path
      const authenticated = performance.now()
      const outcome = rules && (await judge(rules, known.identity, request, moment))
      trace.rules += performance.now() - authenticated
      // A checker, resolve() or a rule may have taken its time: what changed meanwhile counts.
      if (!closed && isSameEpoch(epoch, epochOf(settings)) && now() <= known.provenUntil) {
        return { known, outcome }
      }
    }
    throw deny('ERR_CLIENT_CERT_NOT_READY', {
      reason: 'trust, revocation or rules changed while the request was decided about',
    })
  }

  async function authenticateAgain(standing: Standing): Promise<Authentication | AnyClientCertError> {
    const at = now()
    const trace = beginTrace()
    try {
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      const reading = readingOf(standing)
      trace.presented = reading.presented
      const authentication = await authenticate(reading, reading.presented, epochOf(settings), at, trace)
      authentication.path.settle()
      return authentication
    } catch (thrown) {
      const error = asRefusal(thrown)
      trace.authentication = performance.now() - trace.begun
      tell(refusal(error, { at, enforced: true }), enforcing, undefined, factsOf(trace, at))
      return error
    }
  }

  async function authenticate(
    reading: Reading,
    presented: PresentedChain,
    epoch: Epoch,
    at: number,
    trace: Trace,
  ): Promise<KnownClient> {
    const session = sessionIn(reading)
    const ofSession = session && memory.ofSession(session, epoch, at)
    if (ofSession !== undefined) {
      trace.remembered = true
      return ofSession
    }

    const { via, certificate, intermediates } = presented
    const fingerprint = hash('sha256', certificate, 'hex')
    const ofCertificate = memory.ofCertificate(via, fingerprint, epoch, at)
    if (ofCertificate !== undefined) {
      if (session !== undefined) memory.rememberSession(session, ofCertificate)
      if ('accepted' in reading) quietly(() => reading.accepted?.(ofCertificate.path.octets))
      trace.remembered = true
      return ofCertificate
    }
    const refusalKey = via + fingerprint + intermediates.map((der) => hash('sha256', der, 'base64')).join()
    const refused = memory.refusalOf(refusalKey, epoch, at)
    if (refused !== undefined) {
      trace.remembered = true
      // Its own error for every request: applications write to them.
      throw withAnswer(refused.error, {})
    }

    const begun = performance.now()
    try {
      const known = memory.remember(session, await validate(reading, presented, epoch, at), epoch)
      if ('accepted' in reading) quietly(() => reading.accepted?.(known.path.octets))
      return known
    } catch (error) {
      if (isClientCertError(error)) memory.rememberRefusal(refusalKey, error, epoch, at)
      throw error
    } finally {
      trace.authentication += performance.now() - begun
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
      const found = await findPath(settings, endEntity, epoch, pool, at, ask)
      const { holdsUntil, exception } = found
      issuers.remember(found.path)
      const path = new RememberedPath(found.path)
      const bare = toIdentity(path, presented.via)
      const known = await principalOf(bare, epoch, at)
      const identity = known === undefined ? bare : toIdentity(path, presented.via, known.principal)
      claim(identity, { authenticator, path })
      const last = endOf(path.notAfter) - 1
      // An answer of a checker that says nothing about its end was good for the moment it was given, and is for this request.
      const provenUntil = holdsUntil === at ? last : Math.min(holdsUntil, last)
      const until = Math.min(holdsUntil, last, known?.until ?? Number.POSITIVE_INFINITY)
      return { identity, path, decidedAt: at, holdsUntil: until, provenUntil, exception }
    } catch (error) {
      throw isClientCertError(error) ? diagnose(error, { reading, unreadable, trust: settings.trust.label }) : error
    }
  }

  /** The application's word for an identity, where it has one. */
  async function principalOf(bare: ClientIdentity, epoch: Epoch, at: number): Promise<KnownPrincipal | undefined> {
    if (principalFrom !== undefined) {
      return { principal: onlyName(bare, principalFrom) as Principal, until: Number.POSITIVE_INFINITY }
    }
    return principals?.of(bare, epoch, at)
  }

  /** Time is read here, once. Whatever is thrown denies. */
  function decide(
    read: (at: number) => Reading | Promise<Reading>,
    request: AnyRequest | undefined,
    reporting: Reporting,
  ): Decision | Promise<Decision> {
    const begun = isAudited(settings) ? performance.now() : undefined
    let at = Number.NaN
    let found: Reading | undefined
    let isReading = false
    try {
      at = momentOf(settings)
      isReading = true
      const reading = read(at)
      // Only a gate that has to wait costs a turn.
      if ('then' in reading) return deliberate(inSourceTime(source, reading), at, request, reporting)
      isReading = false
      found = reading
      const known = recall(reading, at, reporting, request)
      if (known === undefined) return deliberate(reading, at, request, reporting)
      if (isHeard(settings)) tell(known, reporting, request, factsOfKnown(known.identity, at, begun))
      return known
    } catch (error) {
      inspect(request)
      const thrown = isReading ? refusalOfSource(source, error) : error
      return refuse(thrown, found, at, request, reporting, beginTrace())
    }
  }

  /** What was decided about the same session before, where nothing that it was decided with has changed. */
  function recall(
    reading: Reading,
    at: number,
    { enforced }: Reporting,
    request: AnyRequest | undefined,
  ): AcceptedDecision | undefined {
    const session = sessionIn(reading)
    if (closed || reading.presented === undefined || session === undefined) return undefined
    const known = memory.ofSession(session, epochOf(settings), at)
    if (known === undefined) return undefined
    const decision = enforced ? known.enforced : known.reported
    if (decision === undefined) return undefined
    ledger.see(known, at, true)
    candidate?.follow(decision, known, reading, at, request)
    return decision
  }

  async function deliberate(
    pending: Reading | Promise<Reading>,
    at: number,
    request: AnyRequest | undefined,
    reporting: Reporting,
  ): Promise<Decision> {
    const trace = beginTrace()
    let reading: Reading | undefined
    inspect(request)
    try {
      reading = await pending
      const { known, outcome } = await accept(reading, request, at, trace)
      trace.outcome = outcome
      if (outcome !== undefined && isFailed(outcome)) throw refusalBy(outcome)
      const decision = acceptance(known, { at, enforced: reporting.enforced, outcome })
      ledger.see(known, at, reporting.refusalsOnly !== true)
      if (dependsOnIdentityAlone(known)) known[reporting.enforced ? 'enforced' : 'reported'] = decision
      tell(decision, reporting, request, factsOf(trace, at))
      candidate?.follow(decision, known, reading, at, request)
      return decision
    } catch (error) {
      return refuse(error, reading, at, request, reporting, trace)
    } finally {
      trace.path?.settle()
    }
  }

  function inspect(request: AnyRequest | undefined): void {
    if (request !== undefined) quietly(() => checkServer(request, source))
  }

  /** Whatever else a rule looks at is looked at for every request; a use of an exception is counted. */
  const dependsOnIdentityAlone = ({ exception }: Authentication) =>
    exception === undefined && (rules === undefined || rules.isOfIdentity)

  function refuse(
    thrown: unknown,
    reading: Reading | undefined,
    at: number,
    request: AnyRequest | undefined,
    reporting: Reporting,
    trace: Trace,
  ): Decision {
    const error = asRefusal(thrown)
    const decision = refusal(error, { at, enforced: reporting.enforced, outcome: trace.outcome })
    tell(decision, reporting, request, factsOf(trace, at))
    candidate?.follow(decision, undefined, reading, at, request)
    return decision
  }

  const tell: AuthenticatorInternals[typeof internals]['report'] = (...told) => {
    if (enforced === undefined) report(settings, ...told)
  }

  const decideRequest: AuthenticatorInternals[typeof internals]['decide'] = (request, reporting) =>
    decide((at) => source.read(request, at), request, reporting)

  const checkRule = (rule: Rule) => checkRuleBinding(rule, settings.trust.current())
  // Another CA may come with a reload.
  const stopChecking = rules === undefined ? () => {} : settings.trust.onReload(() => checkRule(rules))
  if (rules !== undefined) checkRule(rules)

  const authenticator: AuthenticatorInternals = {
    authenticate: (request) => promised(decideRequest(request, enforcing)),
    authenticateSocket: (socket) => promised(decide(() => readSocket(settings, socket), undefined, enforcing)),
    authenticateChain: (presented) => promised(decide(() => ({ presented }), undefined, enforcing)),
    ready: async () => {
      if (rules !== undefined) await Promise.all(partsOf(rules).live.map((source) => source.ready()))
      if (closed) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'the authenticator was closed' })
      await settings.trust.ready()
      await settings.intermediates?.ready()
      if (revocation !== 'none') await revocation.ready?.()
    },
    describe: describing(settings),
    candidateReport: () => candidate?.report(),
    report: (asked = {}) => rotationReport(ledger, asked, settings.auditNames, momentOf(settings)),
    close: async () => {
      closed = true
      ledger.close()
      candidate?.close()
      stopWatching()
      stopWaiting()
      stopChecking()
      closeOwn(settings)
    },
    [Symbol.asyncDispose]: () => authenticator.close(),
    [internals]: {
      decide: decideRequest,
      report: tell,
      checkRule,
      fields: source.fields ?? [],
      settings,
      decideAgain: (standing, request) =>
        promised(decide(() => readingOf(standing), request, { ...enforcing, refusalsOnly: true })),
      authenticateAgain,
      standingOf: (socket) => memory.lastOfSession(connectionOf(socket)),
      hold: (connection) => ledger.anchors.hold(connection),
      stamp: () => (closed ? 'closed' : stampOf(settings)),
      daysLeft: () => daysLeftInUse(ledger, momentOf(settings)),
      observe: (observer) => observe(settings, observer),
    },
  }
  try {
    candidate = candidateFrom && openCandidate(candidateFrom, settings, asCandidate)
  } catch (error) {
    void authenticator.close()
    throw error
  }
  return Object.freeze(authenticator)
}

function asCandidate(settings: Settings): {
  decide: AuthenticatorInternals[typeof internals]['decide']
  close(): Promise<void>
} {
  const { close, [internals]: own } = authenticatorOf(settings)
  return { decide: own.decide, close }
}

/** A path that holds, and what the rules say of its identity. */
interface Accepted {
  known: KnownClient
  outcome: RuleOutcome | undefined
}

/** A decision that is there already costs its caller a promise and no more. */
const promised = (decision: Decision | Promise<Decision>): Promise<Decision> => Promise.resolve(decision)

/** How often a request is decided about anew when what it was decided with changes meanwhile. */
const attempts = 3

const asRefusal = (thrown: unknown): AnyClientCertError => asInternal(thrown, 'deciding about a request')
