import { timingSafeEqual } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { hasDecision, identityOf } from '../core/guard.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { quietly } from '../quietly.js'
import type { AnyRequest } from '../source/source.js'

/** Why a token does not go with a client. */
export type ConfirmationFailure = 'no-certificate' | 'not-bound' | 'another-certificate' | 'malformed'

/**
 * Whether a token's claims are bound to this client: `cnf["x5t#S256"]` is the SHA-256 of its certificate (RFC 8705 §3.1). Undefined where they
 * are. Compares in constant time.
 *
 * @param required `false`: claims without `x5t#S256` are not bound to anybody, and pass
 */
export function confirmationFailure(
  claims: unknown,
  identity: ClientIdentity | undefined,
  required = true,
): ConfirmationFailure | undefined {
  const { cnf } = (typeof claims === 'object' && claims !== null ? claims : {}) as { cnf?: unknown }
  if (cnf === undefined) return required ? 'not-bound' : undefined
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return 'malformed'
  if (!Object.hasOwn(cnf, 'x5t#S256')) return required ? 'not-bound' : undefined
  const thumbprint = (cnf as Record<string, unknown>)['x5t#S256']
  if (typeof thumbprint !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(thumbprint)) return 'malformed'
  if (identity === undefined) return 'no-certificate'
  const isSame = timingSafeEqual(Buffer.from(thumbprint), Buffer.from(identity.x5tS256))
  return isSame ? undefined : 'another-certificate'
}

export interface BoundTokenOptions<Carrier> {
  /**
   * Where the JWT middleware before this one has put the claims it verified. Default: `auth.payload` (express-oauth2-jwt-bearer), `auth`
   * (express-jwt), `user` (passport) of the request; `state.user` (koa-jwt) of Koa's context.
   */
  claims?: (carrier: Carrier) => unknown
  /** `false`: a token that is bound to nobody passes. Default true. */
  required?: boolean
  /**
   * Hears of every refusal, for the log: `'another-certificate'` is what a stolen token looks like, and `'no-token'` that there were no claims.
   * Whatever it does, the request stays refused.
   */
  onRefused?: (failure: ConfirmationFailure | 'no-token', carrier: Carrier) => void
}

/** What this module needs of an Express request. */
export type TokenRequest = AnyRequest & { auth?: unknown; user?: unknown }

/** What this module needs of Koa's context. */
export interface TokenContext {
  readonly req: AnyRequest
  readonly state: Record<string, unknown>
  status: number
  body: unknown
  set(fields: Record<string, string>): void
}

/**
 * Express middleware behind `clientCert()` and any middleware that verifies JWTs: the token was issued to the client that presents it (RFC 8705
 * §3). Everybody else gets 401 with `invalid_token`. It does not verify the token: it reads what was verified.
 *
 * @example
 * app.use(clientCert({ authenticator }), auth({ issuerBaseURL, audience }), requireBoundToken({ onRefused: (failure, { ip }) => log.warn({ failure, ip }) }))
 */
export function requireBoundToken(options: BoundTokenOptions<TokenRequest> = {}) {
  const { claims = claimsOfRequest, required, onRefused } = digest(options)
  return function requireBoundToken(request: TokenRequest, response: unknown, next: (error?: unknown) => void): void {
    let refusal: Refusal | ClientCertConfigError | undefined
    try {
      refusal = refusalOf(request, claims(request), required)
    } catch (error) {
      next(error)
      return
    }
    if (refusal === undefined) next()
    else if (refusal instanceof ClientCertConfigError) next(refusal)
    else {
      const { failure, headers, body } = refusal
      quietly(() => onRefused?.(failure, request))
      ;(response as ServerResponse).writeHead(401, headers).end(body)
    }
  }
}

/** The same for Koa. */
export function requireBoundTokenKoa(options: BoundTokenOptions<TokenContext> = {}) {
  const { claims = claimsOfContext, required, onRefused } = digest(options)
  return async function requireBoundToken(context: TokenContext, next: () => Promise<unknown>): Promise<unknown> {
    const refusal = refusalOf(context.req, claims(context), required)
    if (refusal === undefined) return next()
    if (refusal instanceof ClientCertConfigError) throw refusal
    const { failure, headers, body } = refusal
    quietly(() => onRefused?.(failure, context))
    context.status = 401
    context.set(headers)
    context.body = body
    return undefined
  }
}

interface Digested<C> {
  claims: BoundTokenOptions<C>['claims']
  required: boolean
  onRefused: BoundTokenOptions<C>['onRefused']
}

function digest<C>(options: BoundTokenOptions<C>): Digested<C> {
  refuseUnknownOptions('requireBoundToken', options, ['claims', 'required', 'onRefused'])
  const { claims, required = true, onRefused } = options
  for (const name of ['claims', 'onRefused'] as const) {
    if (!(name in options) || typeof options[name] === 'function') continue
    throw new ClientCertConfigError(`requireBoundToken: ${name} is a function, got ${typeof options[name]}`)
  }
  if (typeof required !== 'boolean') throw new ClientCertConfigError('requireBoundToken: required is true or false')
  return { claims, required, onRefused }
}

function claimsOfRequest({ auth, user }: TokenRequest): unknown {
  const { payload } = (typeof auth === 'object' && auth !== null ? auth : {}) as { payload?: unknown }
  return payload ?? auth ?? user
}

const claimsOfContext = ({ state }: TokenContext): unknown => state.user

interface Refusal {
  readonly failure: ConfirmationFailure | 'no-token'
  readonly headers: Record<string, string>
  readonly body: string
}

function refusalOf(
  request: AnyRequest,
  claims: unknown,
  required: boolean,
): Refusal | ClientCertConfigError | undefined {
  if (!hasDecision(request)) {
    return new ClientCertConfigError(
      'requireBoundToken: clientCert() never ran for this request, or skipped it — app.use(clientCert({ trust })) before it',
    )
  }
  // RFC 6750 §3.1: without any authentication information, no error code.
  if (claims === undefined || claims === null)
    return required ? refusal('no-token', 'Bearer', 'a token is required') : undefined
  const failure = confirmationFailure(claims, identityOf(request), required)
  if (failure === undefined) return undefined
  const description = descriptions[failure]
  return refusal(failure, `Bearer error="invalid_token", error_description="${description}"`, description)
}

/** Says nothing of the certificate, nor of the token. */
const descriptions: { readonly [F in ConfirmationFailure]: string } = {
  'no-certificate': 'the token is bound to a client certificate, and none was accepted',
  'not-bound': 'the token is not bound to a client certificate',
  'another-certificate': 'the token is bound to another client certificate',
  malformed: 'the confirmation of the token is malformed',
}

function refusal(failure: Refusal['failure'], challenge: string, title: string): Refusal {
  return {
    failure,
    headers: {
      'WWW-Authenticate': challenge,
      'Cache-Control': 'no-store',
      'Content-Type': 'application/problem+json',
      'X-Content-Type-Options': 'nosniff',
    },
    body: JSON.stringify({ type: 'urn:problem-type:invalid-token', title, status: 401 }),
  }
}

/**
 * For express-oauth2-jwt-bearer's `getCertificate`: DER of the certificate `clientCert()` accepted on this request; undefined where it accepted
 * none, so that a certificate of a stranger confirms nothing.
 *
 * @example
 * app.use(clientCert({ authenticator }), auth({ issuerBaseURL, audience, getCertificate, mtls: { required: true } }))
 */
export function getCertificate(request: AnyRequest): Buffer | undefined {
  const identity = identityOf(request)
  return identity && Buffer.from(identity.certificate.der)
}
