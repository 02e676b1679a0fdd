import {
  type AnyClientCertError,
  ClientCertConfigError,
  deny,
  isClientCertError,
  refuseUnknownOptions,
} from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { isFailed, type RuleOutcome } from '../rules/outcome.js'
import { isRule, judge, type Rule, refusalBy } from '../rules/rule.js'
import { sharedMap } from '../shared.js'
import type { AnyRequest } from '../source/source.js'
import { type Authenticator, type AuthenticatorInternals, internals } from './authenticator.js'
import type { Decision } from './decision.js'
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

const requests = sharedMap<Map<Authenticator, MountedDecision>>('requests')

/** The last mount that decided about a request speaks for `clientIdentity()`. */
export function recordDecision(request: AnyRequest, mounted: MountedDecision): void {
  const decisions = requests.get(request) ?? new Map<Authenticator, MountedDecision>()
  requests.set(request, decisions)
  decisions.delete(mounted.authenticator)
  decisions.set(mounted.authenticator, mounted)
}

export function decisionOf(request: AnyRequest, authenticator: Authenticator): MountedDecision | undefined {
  return requests.get(request)?.get(authenticator)
}

/** Whether any mount has decided about a request. */
export const hasDecision = (request: AnyRequest): boolean => requests.has(request)

/** The identity of a request, or undefined where nobody was accepted: by the last of its mounts. */
export function identityOf(request: AnyRequest): ClientIdentity | undefined {
  const last = [...(requests.get(request)?.values() ?? [])].at(-1)
  return last?.decision.outcome === 'accepted' ? last.decision.identity : undefined
}

/** The identity of a request. Throws {@link ClientCertConfigError} (500) where there is none: nothing else than a mount can make one. */
export function requireIdentity(request: AnyRequest): ClientIdentity {
  const identity = identityOf(request)
  if (identity !== undefined) return identity
  const reason = requests.has(request)
    ? 'this request has no identity (mode optional or report-only) — requireClientCert() before the handler'
    : 'clientCert() never ran for this request — app.use(clientCert({ trust })) before the handler'
  throw new ClientCertConfigError(`clientIdentity: ${reason}`)
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
export function makeGuard(...given: GuardArguments): (request: AnyRequest) => Promise<GuardOutcome> {
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
  const isOne = typeof authenticator === 'object' && authenticator !== null && internals in authenticator
  // Undefined is an authenticator that was meant and got lost: another one must not decide in its place.
  if ('authenticator' in options && !isOne) {
    throw new ClientCertConfigError(
      'requireClientCert: authenticator is not one — { authenticator: createAuthenticator({ … }) }',
    )
  }
  return async (request) => {
    const mounted = chosen(request, authenticator)
    if (mounted instanceof ClientCertConfigError) return { error: mounted }
    return guardDecision(mounted, rule, request)
  }
}

/** What a guard says to a decision: undefined lets the request pass. */
export async function guardDecision(
  mounted: MountedDecision,
  rule: Rule | undefined,
  request: AnyRequest | undefined,
): Promise<GuardOutcome> {
  const begun = performance.now()
  const { error, outcome } = await refusalOf(mounted, rule, request)
  if (error === undefined) return undefined
  const { decision, reportOnly } = mounted
  const refused: Decision = {
    decidedAt: decision.decidedAt,
    enforced: !reportOnly,
    ...(outcome === undefined ? {} : { rules: outcome }),
    outcome: 'refused',
    error,
  }
  // What the mount refused or let pass was reported there.
  if (decision.outcome !== 'refused') {
    const taken = performance.now() - begun
    const facts = {
      remembered: decision.outcome === 'accepted',
      identity: decision.outcome === 'accepted' ? decision.identity : undefined,
      durations: { total: taken, authentication: 0, rules: taken },
    }
    mounted.authenticator[internals].report(refused, { enforced: !reportOnly, absentPasses: false }, request, facts)
  }
  return reportOnly ? undefined : { error: mounted.answer(error), decision: refused, onDenied: mounted.onDenied }
}

function chosen(
  request: AnyRequest,
  authenticator: Authenticator | undefined,
): MountedDecision | ClientCertConfigError {
  const decisions = requests.get(request)
  if (decisions === undefined) {
    return new ClientCertConfigError(
      'requireClientCert: clientCert() never ran for this request, or skipped it — app.use(clientCert({ trust })) before the guard',
    )
  }
  if (authenticator !== undefined) {
    return (
      decisions.get(authenticator) ??
      new ClientCertConfigError(
        'requireClientCert: this authenticator has not decided about this request — mount clientCert({ authenticator }) before the guard',
      )
    )
  }
  if (decisions.size > 1) {
    return new ClientCertConfigError(
      'requireClientCert: several authenticators decided about this request — name the one you mean: requireClientCert(rule, { authenticator })',
    )
  }
  return [...decisions.values()][0] as MountedDecision
}

interface Found {
  error: AnyClientCertError | undefined
  outcome?: RuleOutcome
}

async function refusalOf(
  { decision, authenticator }: MountedDecision,
  rule: Rule | undefined,
  request: AnyRequest | undefined,
): Promise<Found> {
  if (decision.outcome !== 'accepted') return { error: decision.error }
  if (rule === undefined) return { error: undefined }
  try {
    authenticator[internals].checkRule(rule)
    const outcome = await judge(rule, decision.identity, request, decision.decidedAt.getTime())
    return { error: isFailed(outcome) ? refusalBy(outcome) : undefined, outcome }
  } catch (error) {
    return {
      error: isClientCertError(error)
        ? error
        : deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'a guard' }, { cause: error }),
    }
  }
}
