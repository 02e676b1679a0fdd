import { type AnyClientCertError, asInternal, ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { momentOf } from '../moment.js'
import { isFailed, type RuleOutcome } from '../rules/outcome.js'
import { isRule, judge, type Rule, refusalBy } from '../rules/rule.js'
import { sharedAttachment } from '../shared.js'
import type { AnyRequest } from '../source/source.js'
import { isThenable } from '../thenable.js'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from './contract.js'
import type { Decision } from './decision.js'
import { requestIdOf } from './request-id.js'
import type { Denial, OnDenied } from './responses.js'

/** What one authenticator decided about one request, and under which terms its mount asked. */
export interface MountedDecision {
  readonly authenticator: AuthenticatorInternals
  readonly decision: Decision
  readonly reportOnly: boolean
  /** This mount let the request pass, whatever was decided. */
  readonly passed: boolean
  /** How this mount answers. */
  readonly answer: (error: AnyClientCertError) => AnyClientCertError
  readonly onDenied?: OnDenied | undefined
}

/** The decisions about one request, the last first. Nearly always there is one, which a list costs nothing. */
interface Decided {
  readonly mounted: MountedDecision
  readonly before: Decided | undefined
}

/** Not `requests`: under that name, version 0.1.0 shares something else. */
const requests = sharedAttachment<Decided>('decisions')

/** The last mount that decided about a request speaks for `clientIdentity()`. */
export function recordDecision(request: AnyRequest, mounted: MountedDecision): void {
  requests.set(request, { mounted, before: without(mounted.authenticator, requests.get(request)) })
}

/** An authenticator has one decision about a request: by its last mount. */
function without(authenticator: Authenticator, decided: Decided | undefined): Decided | undefined {
  if (decided === undefined) return undefined
  const { mounted, before } = decided
  return mounted.authenticator === authenticator ? before : { mounted, before: without(authenticator, before) }
}

export function decisionOf(request: AnyRequest, authenticator: Authenticator): MountedDecision | undefined {
  let decided = requests.get(request)
  while (decided !== undefined && decided.mounted.authenticator !== authenticator) decided = decided.before
  return decided?.mounted
}

/** Whether any mount has decided about a request. */
export const hasDecision = (request: AnyRequest): boolean => requests.get(request) !== undefined

/** The identity of a request, or undefined where nobody was accepted: by the last of its mounts. */
export function identityOf(request: AnyRequest): ClientIdentity | undefined {
  const decision = requests.get(request)?.mounted.decision
  return decision?.outcome === 'accepted' ? decision.identity : undefined
}

/** The identity of a request. Throws {@link ClientCertConfigError} (500) where there is none: nothing else than a mount can make one. */
export function requireIdentity(request: AnyRequest): ClientIdentity {
  const identity = identityOf(request)
  if (identity !== undefined) return identity
  throw new ClientCertConfigError(`clientIdentity: ${whyNobody(requests.get(request)?.mounted)}`)
}

function whyNobody(mounted: MountedDecision | undefined): string {
  if (mounted === undefined)
    return 'clientCert() never ran for this request — app.use(clientCert({ trust })) before the handler'
  // Guards let everybody pass there, too.
  return mounted.reportOnly
    ? 'this request has no identity, and mode report-only lets it pass — read the property clientIdentity, which may be undefined'
    : 'this request has no identity (mode optional) — requireClientCert() before the handler'
}

export interface GuardOptions {
  /** Whose decision the guard asks for, where a request has several. */
  authenticator?: Authenticator
}

/** What a guard came to: undefined lets the request pass. */
export type GuardOutcome = Denial | undefined

/** `requireClientCert()`, `requireClientCert(rule)`, `requireClientCert(rule, options)`. */
export type GuardArguments = [rule?: Rule | undefined, options?: GuardOptions]

/** Makes the check behind `requireClientCert`. Throws at construction for what is no rule. */
export function makeGuard(...given: GuardArguments): (request: AnyRequest) => GuardOutcome | Promise<GuardOutcome> {
  const [rule, options = {}] = given
  if (given.length === 1 && rule === undefined) {
    throw new ClientCertConfigError(
      'requireClientCert: the rule is undefined, which would admit every client — requireClientCert() if that is meant',
    )
  }
  if (rule !== undefined && !isRule(rule)) {
    throw new ClientCertConfigError(
      'requireClientCert: expected a rule — requireClientCert(rules.dnsName("a.test")); a function becomes one by rules.custom("name", fn)',
    )
  }
  refuseUnknownOptions('requireClientCert', options, ['authenticator'])
  const { authenticator } = options
  // Undefined is an authenticator that was meant and got lost: another one must not decide in its place.
  if ('authenticator' in options && !isAuthenticator(authenticator)) {
    throw new ClientCertConfigError(
      'requireClientCert: authenticator is not one — { authenticator: createAuthenticator({ … }) }',
    )
  }
  return (request) => {
    const mounted = chosen(request, authenticator)
    if (mounted instanceof ClientCertConfigError) return { error: mounted }
    return guardDecision(mounted, rule, request)
  }
}

/** What a guard says to a decision: undefined lets the request pass. A promise only where the rule has to wait. */
export function guardDecision(
  mounted: MountedDecision,
  rule: Rule | undefined,
  request: AnyRequest | undefined,
): GuardOutcome | Promise<GuardOutcome> {
  if (rule === undefined && mounted.decision.outcome === 'accepted') return undefined
  const begun = performance.now()
  const found = ask(mounted, rule, request)
  return isThenable(found)
    ? found.then((late) => conclude(mounted, late, begun, request))
    : conclude(mounted, found, begun, request)
}

function conclude(
  { authenticator, decision, reportOnly, answer, onDenied }: MountedDecision,
  { at, error, outcome }: Found,
  begun: number,
  request: AnyRequest | undefined,
): GuardOutcome {
  if (error === undefined) return undefined
  const refused: Decision = {
    decidedAt: new Date(at),
    enforced: !reportOnly,
    ...(outcome === undefined ? {} : { rules: outcome }),
    outcome: 'refused',
    error,
  }
  // What the mount refused or let pass was reported there.
  if (decision.outcome !== 'refused') {
    const taken = performance.now() - begun
    const identity = decision.outcome === 'accepted' ? decision.identity : undefined
    const durations = { total: taken, authentication: 0, rules: taken }
    const facts = { at, remembered: decision.outcome === 'accepted', identity, via: identity?.via, durations }
    authenticator[internals].report(refused, { enforced: !reportOnly, absentPasses: false }, request, facts)
  }
  if (reportOnly) return undefined
  const requestId = requestIdOf(authenticator[internals].settings, request)
  return { error: answer(error), decision: refused, onDenied, requestId }
}

function chosen(
  request: AnyRequest,
  authenticator: Authenticator | undefined,
): MountedDecision | ClientCertConfigError {
  const decided = requests.get(request)
  if (decided === undefined) {
    return new ClientCertConfigError(
      'requireClientCert: clientCert() never ran for this request, or skipped it — app.use(clientCert({ trust })) before the guard',
    )
  }
  if (authenticator !== undefined) {
    return (
      decisionOf(request, authenticator) ??
      new ClientCertConfigError(
        'requireClientCert: this authenticator has not decided about this request — mount clientCert({ authenticator }) before the guard',
      )
    )
  }
  if (decided.before !== undefined) {
    return new ClientCertConfigError(
      'requireClientCert: several authenticators decided about this request — name the one you mean: requireClientCert(rule, { authenticator })',
    )
  }
  return decided.mounted
}

/** @property at milliseconds since 1970 */
interface Found {
  readonly at: number
  readonly error: AnyClientCertError | undefined
  readonly outcome?: RuleOutcome
}

function ask(
  { decision, authenticator }: MountedDecision,
  rule: Rule | undefined,
  request: AnyRequest | undefined,
): Found | Promise<Found> {
  const decidedAt = decision.decidedAt.getTime()
  if (decision.outcome !== 'accepted') return { at: decidedAt, error: decision.error }
  if (rule === undefined) return { at: decidedAt, error: undefined }
  const failed = (error: unknown): Found => ({ at: decidedAt, error: asRefusal(error) })
  try {
    authenticator[internals].checkRule(rule)
    // Not the time of the decision, which may be one that was remembered.
    const at = momentOf(authenticator[internals].settings)
    const conclusion = (outcome: RuleOutcome): Found => ({
      at,
      error: isFailed(outcome) ? refusalBy(outcome) : undefined,
      outcome,
    })
    const outcome = judge(rule, decision.identity, request, at)
    return isThenable(outcome) ? outcome.then(conclusion).catch(failed) : conclusion(outcome)
  } catch (error) {
    return failed(error)
  }
}

const asRefusal = (error: unknown): AnyClientCertError => asInternal(error, 'a guard')
