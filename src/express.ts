import { IncomingMessage } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import type { CachedResponse } from './core/caching.js'
import { Exposure } from './core/exposure.js'
import { type GuardArguments, hasDecision, makeGuard, requireIdentity } from './core/guard.js'
import {
  type ClientCertOptions as AnyClientCertOptions,
  type MountOptions as AnyMountOptions,
  createMount,
  type MountOutcome,
  refuseOtherFramework,
} from './core/mount.js'
import { type Denial, endPreflight, prepareAnswer, sendProblem } from './core/responses.js'
import { isClientCertError } from './errors.js'
import type { ClientIdentity } from './identity/identity.js'
import type { AnyRequest } from './source/source.js'
import { asFailure } from './stack.js'
import { isThenable } from './thenable.js'

export type { ResponseOptions } from './core/responses.js'
export type { ClientIdentity } from './identity/identity.js'

declare global {
  namespace Express {
    interface Request {
      /** Who the client is; undefined where no mount of `clientCert()` accepted one. Cannot be assigned. */
      readonly clientIdentity?: ClientIdentity | undefined
    }
  }
}

/** What `onDenied` gets to answer with. */
export interface DeniedContext {
  readonly request: Request
  readonly response: Response
}

export type MountOptions = AnyMountOptions<DeniedContext>
/** An authenticator of its own, or a shared one; and how this mount behaves. */
export type ClientCertOptions = AnyClientCertOptions<DeniedContext>

/** A handler that leaves Express to infer the types of the route it stands in. */
export type ClientCertHandler = (request: AnyRequest, response: CachedResponse, next: NextFunction) => void

/**
 * Express middleware (4 and 5): every request carries a verified identity, or goes to the error handlers with a `ClientCertError`. Where the
 * application has no error handler, the answer is problem details (RFC 9457).
 *
 * @example
 * app.use(clientCert({ trust: './clients-ca.pem', revocation: 'none' }))
 */
export function clientCert(options: ClientCertOptions): ClientCertHandler {
  const mount = createMount(options)
  return function clientCert(request, response, next) {
    refuseOtherFramework(next, 'clientCert', 'express')
    const outcome = mount(request, response)
    if (!isThenable(outcome)) {
      exposure.expose(request)
      proceed(outcome, request, response, next)
      return
    }
    void outcome
      .then((late) => {
        exposure.expose(request)
        return late
      })
      .then((late) => proceed(late, request, response, next), failing(next))
  }
}

/**
 * Express middleware for a route: refuses unless `clientCert()` accepted the client, and the rule holds.
 *
 * @example
 * app.put('/catalog/:id', requireClientCert(rules.dnsName('editor.acme.test')), handler)
 */
export function requireClientCert(...given: GuardArguments): ClientCertHandler {
  const guard = makeGuard(...given)
  return function requireClientCert(request, response, next) {
    refuseOtherFramework(next, 'requireClientCert', 'express')
    const denial = guard(request)
    if (isThenable(denial)) void denial.then((late) => proceed(late, request, response, next), failing(next))
    else proceed(denial, request, response, next)
  }
}

/** The identity of a request. Throws `ClientCertConfigError` (500) where there is none. */
export function clientIdentity(request: Request): ClientIdentity {
  return requireIdentity(request)
}

function proceed(outcome: MountOutcome, request: AnyRequest, response: CachedResponse, next: NextFunction): void {
  if (outcome === undefined) next()
  else if (outcome === 'preflight') endPreflight(response as unknown as Response)
  else void refuse(outcome, { request: request as Request, response: response as unknown as Response }, next)
}

/** Express links each request with its response: what is derived from a request, or stands for it, leads to it that way. */
type Carrier = AnyRequest & { readonly res?: { readonly req?: AnyRequest } }

/** What the requests of all applications of one copy of Express inherit from, wherever they are handed on to; undefined outside of Express. */
function commonPrototype(request: AnyRequest): object | undefined {
  let at: object | null = Object.getPrototypeOf(request)
  while (at !== null && at !== IncomingMessage.prototype) {
    const next: object | null = Object.getPrototypeOf(at)
    if (next === IncomingMessage.prototype) return at
    at = next
  }
  return undefined
}

const exposure = new Exposure<Carrier>(
  (carrier) => (hasDecision(carrier) ? carrier : (carrier.res?.req ?? carrier)),
  commonPrototype,
)

/** Whoever wants to answers: the mount's `onDenied`, the application's error handlers, or we do. */
async function refuse(denial: Denial, context: DeniedContext, next: NextFunction): Promise<void> {
  const { error, decision, onDenied, requestId } = denial
  const { request, response } = context
  try {
    if (!isClientCertError(error)) return next(error)
    if (onDenied !== undefined && decision !== undefined) {
      prepareAnswer(response, error)
      await onDenied(decision, context as never)
      if (response.headersSent || response.writableEnded) return
    }
    if (hasErrorHandler(request.app)) next(error)
    else sendProblem(response, error, requestId)
  } catch (thrown) {
    next(asFailure(thrown))
  }
}

const failing = (next: NextFunction) => (thrown: unknown) => next(asFailure(thrown))

interface Layer {
  readonly handle?: { readonly length: number; readonly stack?: readonly Layer[] }
  readonly route?: { readonly stack: readonly Layer[] }
}
interface Application {
  readonly _router?: { readonly stack?: readonly Layer[] }
  readonly router?: { readonly stack?: readonly Layer[] }
  readonly parent?: Application
}

/** Whether an application, or one it is mounted in, has a handler of four parameters, by which Express knows those of errors. */
function hasErrorHandler(app: unknown): boolean {
  for (let at = app as Application | undefined; at !== undefined; at = at.parent) {
    // Express 4 keeps it in `_router`, and throws where `router` is read.
    const router = Object.hasOwn(at, '_router') ? at._router : at.router
    // What we cannot look into may have one.
    if (router?.stack === undefined || router.stack.some(handlesErrors)) return true
  }
  return app === undefined
}

function handlesErrors({ handle, route }: Layer): boolean {
  return (
    handle?.length === 4 || handle?.stack?.some(handlesErrors) === true || route?.stack.some(handlesErrors) === true
  )
}
