import { type AnyClientCertError, ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import { isPreflight } from '../source/absent.js'
import type { AnyRequest } from '../source/source.js'
import { isThenable, whenRejected } from '../thenable.js'
import { createAuthenticator } from './authenticator.js'
import { type CachedResponse, cachingFor } from './caching.js'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from './contract.js'
import { daysLeftHeader } from './days-left.js'
import type { Decision } from './decision.js'
import { decisionOf, recordDecision } from './guard.js'
import { type AuthenticatorOptions, optionNames } from './options.js'
import { passedFacts } from './reporting.js'
import { requestIdOf } from './request-id.js'
import { answering, type Denial, type OnDenied, type ResponseOptions } from './responses.js'

/** How one mount of the middleware behaves. The authenticator is shared and knows nothing of it. */
export interface MountOptions<Context = never> {
  /**
   * `'required'` (default): a request without an accepted certificate is refused. `'optional'`: one without any certificate passes without an
   * identity, an invalid one is still refused. `'report-only'`: nothing is refused, every would-be refusal is reported.
   */
  mode?: 'required' | 'optional' | 'report-only'
  /** Requests for which no decision is made: health probes, public paths. Only `true` skips; an exception does not. */
  skip?: (request: AnyRequest) => boolean
  /**
   * Browsers send no certificate on a CORS preflight. `'refuse'` (default): it is refused as any other request without one; mount `cors()`
   * before. `'answer'`: it is answered here, 204 with the header fields that were set before, and reaches no handler.
   */
  preflight?: 'refuse' | 'answer'
  /** How refusals are answered. */
  responses?: ResponseOptions
  /**
   * In header mode, what keeps caches from giving one client's answer to another (RFC 9440 §2.4), on answers and refusals alike: `'no-store'`
   * (default) sets `Cache-Control: no-store`, `'vary'` adds the certificate's header fields to `Vary`, `'application'` leaves it to you. A
   * handler may set another `Cache-Control` afterwards.
   */
  caching?: 'no-store' | 'vary' | 'application'
  /**
   * Tells each accepted client how many whole days its certificate has left: `true` in the header field `Client-Certificate-Days-Left`, or the name
   * of another. Default false. Where nothing else is said on caching, the answer gets `Cache-Control: private`.
   */
  daysLeftHeader?: boolean | string
  /**
   * Answers a refusal of this mount and of the guards behind it; status and header fields are set already. An answer that is not sent when it
   * returns, or when its promise resolves, is the default one.
   */
  onDenied?: OnDenied<Context>
}

/** An authenticator of its own, or a shared one; and how this mount behaves. */
export type ClientCertOptions<Context = never> = (AuthenticatorOptions | { authenticator: Authenticator }) &
  MountOptions<Context>

const mountOptionNames: readonly (keyof MountOptions)[] = [
  'mode',
  'skip',
  'preflight',
  'responses',
  'caching',
  'daysLeftHeader',
  'onDenied',
]

/** What a mount came to: undefined lets the request pass; a preflight is to be answered and ends. */
export type MountOutcome = Denial | 'preflight' | undefined

/** Makes what is behind `clientCert` in every framework. The returned function promises an outcome only where it has to wait, and never rejects. */
export function createMount(
  options: ClientCertOptions,
): (request: AnyRequest, response: CachedResponse) => MountOutcome | Promise<MountOutcome> {
  const { authenticator, mode, skip, preflight, answer, caching, daysLeft, onDenied } = digest(options)
  const reportOnly = mode === 'report-only'
  const reporting = { enforced: !reportOnly, absentPasses: mode === 'optional' }

  function conclude(
    request: AnyRequest,
    response: CachedResponse,
    decision: Decision,
    wasPassed: boolean,
  ): MountOutcome {
    if (daysLeft !== undefined && decision.outcome === 'accepted') daysLeft(response, decision.identity)
    const error = refusalOf(decision, mode)
    recordDecision(request, { authenticator, decision, reportOnly, passed: error === undefined, answer, onDenied })
    if (error === undefined) return undefined
    // A mount before this one let it pass, so that nobody has heard of a refusal yet.
    if (wasPassed) {
      const durations = { total: 0, authentication: 0, rules: 0 }
      const { identity, fingerprint, via } = passedFacts.get(decision) ?? {}
      const facts = { at: decision.decidedAt.getTime(), remembered: true, identity, fingerprint, via, durations }
      const again = { ...reporting, isToldAgain: !decision.enforced }
      authenticator[internals].report({ ...decision, enforced: true }, again, request, facts)
    }
    const requestId = requestIdOf(authenticator[internals].settings, request)
    return { error: answer(error), decision, onDenied, requestId }
  }

  return (request, response) => {
    if (skip !== undefined && isSkipped(skip, request)) return undefined
    if (preflight === 'answer' && isPreflight(request)) return 'preflight'
    if (caching !== undefined && response.headersSent !== true) caching.apply(response)
    const known = decisionOf(request, authenticator)
    const wasPassed = known?.passed === true
    const decision = known?.decision ?? authenticator[internals].decide(request, reporting)
    return isThenable(decision)
      ? decision.then((late) => conclude(request, response, late, wasPassed))
      : conclude(request, response, decision, wasPassed)
  }
}

/**
 * Each framework calls middleware with arguments of its own. Without this, Express' middleware in Koa ends the process ("next is not a function"), and
 * Koa's in Express reads a request as a context.
 */
export function refuseOtherFramework(next: unknown, name: string, framework: 'express' | 'koa'): void {
  if (typeof next === 'function') return
  const [here, there, entry] = framework === 'express' ? ['Express', 'Koa', 'koa'] : ['Koa', 'Express', 'express']
  throw new ClientCertConfigError(
    `${name}: this is middleware for ${here}, and something else called it — for ${there}: import { ${name} } from 'mtls-identity/${entry}'`,
  )
}

function refusalOf(decision: Decision, mode: MountOptions['mode']): AnyClientCertError | undefined {
  if (decision.outcome === 'accepted' || mode === 'report-only') return undefined
  return mode === 'optional' && decision.outcome === 'absent' ? undefined : decision.error
}

function isSkipped(skip: (request: AnyRequest) => boolean, request: AnyRequest): boolean {
  try {
    const answer: unknown = skip(request)
    // A promise skips nothing, and what it rejects with must not end the process.
    whenRejected(answer, () => {})
    return answer === true
  } catch {
    return false
  }
}

function digest(options: ClientCertOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError("clientCert: expected options — app.use(clientCert({ trust: './clients-ca.pem' }))")
  }
  if (isAuthenticator(options))
    throw new ClientCertConfigError(
      'clientCert: expected options, got an authenticator — clientCert({ authenticator })',
    )
  // A request, or Koa's context: what middleware is called with.
  if ('headers' in options) {
    throw new ClientCertConfigError(
      "clientCert: called with a request in place of options — app.use(clientCert({ trust: './clients-ca.pem' })), not app.use(clientCert)",
    )
  }
  const {
    mode = 'required',
    skip,
    preflight = 'refuse',
    responses = {},
    caching = 'no-store',
    daysLeftHeader: daysLeftField,
    onDenied,
    ...rest
  } = options
  const modes = ['required', 'optional', 'report-only']
  if (!modes.includes(mode)) {
    const near = typeof mode === 'string' ? nearest(mode, modes) : undefined
    throw new ClientCertConfigError(
      `clientCert: unknown mode ${JSON.stringify(mode)}.${near ? ` Did you mean "${near}"?` : ` Known: ${modes.join(', ')}`}`,
    )
  }
  if (skip !== undefined && typeof skip !== 'function')
    throw new ClientCertConfigError(`clientCert: skip is a function of the request, got ${typeof skip}`)
  if (preflight !== 'refuse' && preflight !== 'answer') {
    throw new ClientCertConfigError(
      `clientCert: preflight is ${JSON.stringify(preflight)}, expected 'refuse' or 'answer'`,
    )
  }
  if (onDenied !== undefined && typeof onDenied !== 'function')
    throw new ClientCertConfigError(`clientCert: onDenied is a function, got ${typeof onDenied}`)
  const authenticator = authenticatorOf(rest)
  const cachePolicy = cachingFor(caching, authenticator[internals].fields)
  const answer = answering(responses, cachePolicy?.headers ?? {})
  const isSaid = cachePolicy !== undefined || caching === 'application'
  const daysLeft = daysLeftHeader(daysLeftField, authenticator[internals].settings, isSaid)
  return { authenticator, mode, skip, preflight, answer, caching: cachePolicy, daysLeft, onDenied }
}

function authenticatorOf(options: Omit<ClientCertOptions, keyof MountOptions>): AuthenticatorInternals {
  if (!('authenticator' in options)) {
    refuseUnknownOptions('clientCert', options, [...optionNames, 'authenticator', ...mountOptionNames])
    return createAuthenticator(options as AuthenticatorOptions) as AuthenticatorInternals
  }
  const { authenticator, ...others } = options
  if (!isAuthenticator(authenticator)) {
    throw new ClientCertConfigError(
      'clientCert: authenticator is not one — { authenticator: createAuthenticator({ … }) }',
    )
  }
  const [stray] = Object.keys(others)
  if (stray !== undefined) {
    const reason = (optionNames as readonly string[]).includes(stray)
      ? `"${stray}" belongs to createAuthenticator()`
      : `unknown option "${stray}"`
    throw new ClientCertConfigError(
      `clientCert: ${reason}; beside authenticator only ${mountOptionNames.join(', ')} are allowed`,
    )
  }
  return authenticator as AuthenticatorInternals
}
