import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { type AnyClientCertError, ClientCertConfigError, refuseUnknownOptions, withAnswer } from '../errors.js'
import { present } from '../event-channels.js'
import type { Decision } from './decision.js'

/** HTTP statuses by outcome, 400 to 599; `exposeReason` lets the body name the code. */
export interface ResponseOptions {
  absent?: number
  refused?: number
  malformed?: number
  undetermined?: number
  exposeReason?: boolean
}

/** What a mount or a guard refuses, and who wants to answer it. */
export interface Denial {
  readonly error: AnyClientCertError | ClientCertConfigError
  /** What the application's `onDenied` is told; undefined for a mistake of the application, which is an error of its own. */
  readonly decision?: Decision
  readonly onDenied?: OnDenied | undefined
  /** What the application calls the request. */
  readonly requestId?: string | undefined
}

/** Answers a refusal in place of the framework. The context is that of the framework. */
export type OnDenied<Context = never> = (decision: Decision, context: Context) => void | Promise<void>

/** RFC 9457 §3.1. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  /** Where the mount says `exposeReason`. */
  readonly code?: string
  /** What the application calls the request (RFC 9457 §3.2), where the authenticator's `requestId` says so: the operator finds the reason by it. */
  readonly requestId?: string
}

const responseOptionNames: readonly (keyof ResponseOptions)[] = [
  'absent',
  'refused',
  'malformed',
  'undetermined',
  'exposeReason',
]

/**
 * What a refusal becomes on its way to the client.
 *
 * @param headers fields every refusal gets
 */
export function answering(
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

/**
 * A refusal as problem details (RFC 9457). By kind only: to a client, an unknown issuer, a revoked certificate and a rule that did not hold are
 * one and the same, unless the mount says `exposeReason`.
 */
export function problemOf(error: AnyClientCertError, requestId?: string): Problem {
  const { code, status, message, expose } = error
  const kind = status >= 500 ? 'unchecked' : kindOf(error) === 'absent' ? 'required' : 'refused'
  const title = expose ? message.slice(0, message.indexOf(':')) : message
  const told = present({ code: expose ? code : undefined, requestId })
  return { type: `urn:problem-type:client-certificate-${kind}`, title, status, ...told }
}

/** Ends a preflight: nothing but what the application said before. */
export function endPreflight(response: AnyResponse): void {
  response.statusCode = 204
  ;(response as ServerResponse).end()
}

/** Status and header fields of a refusal, for whoever answers it. */
export function prepareAnswer(response: AnyResponse, error: AnyClientCertError): void {
  response.statusCode = error.status
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value)
}

type AnyResponse = ServerResponse<IncomingMessage> | Http2ServerResponse<Http2ServerRequest>

/** Answers a refusal: problem details, the header fields that belong to them, and nothing an application said before but CORS and Vary. */
export function sendProblem(response: AnyResponse, error: AnyClientCertError, requestId?: string): void {
  for (const name of response.getHeaderNames()) {
    if (!/^(?:access-control-.*|vary)$/i.test(name)) response.removeHeader(name)
  }
  const body = Buffer.from(JSON.stringify(problemOf(error, requestId)))
  prepareAnswer(response, error)
  response.setHeader('Content-Type', 'application/problem+json')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('Content-Length', body.length)
  const isHead = response.req.method === 'HEAD'
  ;(response as ServerResponse).end(isHead ? undefined : body)
}
