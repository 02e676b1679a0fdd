import { STATUS_CODES } from 'node:http'
import { type AnyClientCertError, ClientCertConfigError, nearest, refuseUnknownOptions, withAnswer } from '../errors.js'
import type { AnyRequest } from '../source/source.js'
import { type Authenticator, type AuthenticatorInternals, createAuthenticator, internals } from './authenticator.js'
import { type AnyResponse, cachingFor } from './caching.js'
import type { Decision } from './decision.js'
import { decisionOf, recordDecision } from './guard.js'
import { type AuthenticatorOptions, optionNames } from './options.js'

/** How one mount of the middleware behaves. The authenticator is shared and knows nothing of it. */
export interface MountOptions {
  /**
   * `'required'` (default): a request without an accepted certificate is refused. `'optional'`: one without any certificate passes without an
   * identity, an invalid one is still refused. `'report-only'`: nothing is refused, every would-be refusal is reported.
   */
  mode?: 'required' | 'optional' | 'report-only'
  /** Requests for which no decision is made: health probes, public paths. Only `true` skips; an exception does not. */
  skip?: (request: AnyRequest) => boolean
  /** How refusals are answered. */
  responses?: ResponseOptions
  /**
   * In header mode, what keeps caches from giving one client's answer to another (RFC 9440 §2.4), on answers and refusals alike: `'no-store'`
   * (default) sets `Cache-Control: no-store`, `'vary'` adds the certificate's header fields to `Vary`, `'application'` leaves it to you. A
   * handler may set another `Cache-Control` afterwards.
   */
  caching?: 'no-store' | 'vary' | 'application'
}

/** HTTP statuses by outcome, 400 to 599; `exposeReason` lets the body name the code. */
export interface ResponseOptions {
  absent?: number
  refused?: number
  malformed?: number
  undetermined?: number
  exposeReason?: boolean
}

/** An authenticator of its own, or a shared one; and how this mount behaves. */
export type ClientCertOptions = (AuthenticatorOptions | { authenticator: Authenticator }) & MountOptions

const mountOptionNames: readonly (keyof MountOptions)[] = ['mode', 'skip', 'responses', 'caching']
const responseOptionNames: readonly (keyof ResponseOptions)[] = [
  'absent',
  'refused',
  'malformed',
  'undetermined',
  'exposeReason',
]

/** What a mount came to: undefined lets the request pass. */
export type MountOutcome = AnyClientCertError | undefined

/** Makes what is behind `clientCert` in every framework. The returned function never rejects. */
export function createMount(
  options: ClientCertOptions,
): (request: AnyRequest, response: AnyResponse) => Promise<MountOutcome> {
  const { authenticator, mode, skip, answer, caching } = digest(options)
  const reportOnly = mode === 'report-only'
  const reporting = { enforced: !reportOnly, absentPasses: mode === 'optional' }

  return async (request, response) => {
    if (isSkipped(skip, request)) return undefined
    if (response.headersSent !== true) caching?.apply(response)
    const known = decisionOf(request, authenticator)
    const decision = known?.decision ?? (await authenticator[internals].decide(request, reporting))
    const error = refusalOf(decision, mode)
    recordDecision(request, { authenticator, decision, reportOnly, passed: error === undefined, answer })
    // A mount before this one let it pass, so that nobody has heard of a refusal yet.
    if (error !== undefined && known?.passed === true) {
      authenticator[internals].report({ ...decision, enforced: true }, reporting, request, false)
    }
    return error && answer(error)
  }
}

function refusalOf(decision: Decision, mode: MountOptions['mode']): AnyClientCertError | undefined {
  if (decision.outcome === 'accepted' || mode === 'report-only') return undefined
  return mode === 'optional' && decision.outcome === 'absent' ? undefined : decision.error
}

function isSkipped(skip: MountOptions['skip'], request: AnyRequest): boolean {
  try {
    return skip?.(request) === true
  } catch {
    return false
  }
}

function digest(options: ClientCertOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError("clientCert: expected options — app.use(clientCert({ trust: './clients-ca.pem' }))")
  }
  const { mode = 'required', skip, responses = {}, caching = 'no-store', ...rest } = options
  const modes = ['required', 'optional', 'report-only']
  if (!modes.includes(mode)) {
    const near = typeof mode === 'string' ? nearest(mode, modes) : undefined
    throw new ClientCertConfigError(
      `clientCert: unknown mode ${JSON.stringify(mode)}.${near ? ` Did you mean "${near}"?` : ` Known: ${modes.join(', ')}`}`,
    )
  }
  if (skip !== undefined && typeof skip !== 'function')
    throw new ClientCertConfigError(`clientCert: skip is a function of the request, got ${typeof skip}`)
  const authenticator = authenticatorOf(rest)
  const cachePolicy = cachingFor(caching, authenticator[internals].fields)
  return { authenticator, mode, skip, answer: answering(responses, cachePolicy?.headers ?? {}), caching: cachePolicy }
}

function authenticatorOf(options: Omit<ClientCertOptions, keyof MountOptions>): AuthenticatorInternals {
  if (!('authenticator' in options)) {
    refuseUnknownOptions('clientCert', options, [...optionNames, 'authenticator', ...mountOptionNames])
    return createAuthenticator(options as AuthenticatorOptions) as AuthenticatorInternals
  }
  const { authenticator, ...others } = options
  if (!(typeof authenticator === 'object' && authenticator !== null && internals in authenticator)) {
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

/** What a refusal becomes on its way to the client. */
function answering(
  responses: ResponseOptions,
  headers: Readonly<Record<string, string>>,
): (error: AnyClientCertError) => AnyClientCertError {
  refuseUnknownOptions('clientCert: responses', responses, responseOptionNames)
  const { exposeReason = false, ...statuses } = responses
  if (typeof exposeReason !== 'boolean')
    throw new ClientCertConfigError('clientCert: responses.exposeReason is true or false')
  for (const [name, status] of Object.entries(statuses)) checkStatus(name, status)
  const hasHeaders = Object.keys(headers).length > 0
  return (error) => {
    const kind = kindOf(error)
    const status = kind === undefined ? undefined : statuses[kind]
    return status === undefined && !exposeReason && !hasHeaders
      ? error
      : withAnswer(error, { exposeReason, headers, ...(status === undefined ? {} : { status }) })
  }
}

/** Frameworks take a status that is no error, or that they do not know, for success or for 500 with the message as body. */
function checkStatus(name: string, status: unknown): void {
  if (
    Number.isInteger(status) &&
    (status as number) >= 400 &&
    (status as number) < 600 &&
    STATUS_CODES[status as number] !== undefined
  )
    return
  throw new ClientCertConfigError(
    `clientCert: responses.${name} is ${JSON.stringify(status)}, expected a status of RFC 9110 from 400 to 599`,
  )
}

/** What went wrong in us stays 500, whatever refusals are answered with. */
function kindOf({ code, status }: AnyClientCertError): keyof Omit<ResponseOptions, 'exposeReason'> | undefined {
  if (code === 'ERR_CLIENT_CERT_ABSENT') return 'absent'
  if (status === 400) return 'malformed'
  if (status === 503) return 'undetermined'
  return status === 500 ? undefined : 'refused'
}
