import type { Context, DefaultState, Middleware, Next } from 'koa'
import { Exposure } from './core/exposure.js'
import { type GuardArguments, identityOf, makeGuard, requireIdentity } from './core/guard.js'
import {
  type ClientCertOptions as AnyClientCertOptions,
  type MountOptions as AnyMountOptions,
  createMount,
  type MountOutcome,
  refuseOtherFramework,
} from './core/mount.js'
import { type Denial, endPreflight, sendProblem } from './core/responses.js'
import { isClientCertError } from './errors.js'
import type { ClientIdentity } from './identity/identity.js'
import { asFailure } from './stack.js'
import { isThenable } from './thenable.js'

export type { ResponseOptions } from './core/responses.js'
export type { ClientIdentity } from './identity/identity.js'

export type MountOptions = AnyMountOptions<Context>
/** An authenticator of its own, or a shared one; and how this mount behaves. */
export type ClientCertOptions = AnyClientCertOptions<Context>

/** What Koa's context is behind `requireClientCert()`: in a chain of `use()` the identity needs no check. */
export interface IdentifiedContext {
  readonly clientIdentity: ClientIdentity
}

/** For `new Koa<ClientCertState>()`: types `ctx.state.clientIdentity`. */
export interface ClientCertState {
  clientIdentity?: ClientIdentity | undefined
}

declare module 'koa' {
  interface ExtendableContext {
    /** Who the client is; undefined where no mount of `clientCert()` accepted one. Cannot be assigned. */
    readonly clientIdentity?: ClientIdentity | undefined
  }
}

/**
 * Koa middleware (2 and 3): every request carries a verified identity, or throws a `ClientCertError` with status and header fields. Where nobody
 * catches it, the answer is problem details (RFC 9457).
 *
 * @example
 * app.use(clientCert({ trust: './clients-ca.pem', revocation: 'none' }))
 */
export function clientCert(options: ClientCertOptions): Middleware {
  const mount = createMount(options)
  return function clientCert(context, next) {
    refuseOtherFramework(next, 'clientCert', 'koa')
    const outcome = mount(context.req, context.res)
    return isThenable(outcome) ? outcome.then((late) => proceed(late, context, next)) : proceed(outcome, context, next)
  }
}

/**
 * Koa middleware for a route: refuses unless `clientCert()` accepted the client, and the rule holds.
 *
 * @example
 * router.put('/catalog/:id', requireClientCert(rules.dnsName('editor.acme.test')), handler)
 */
export function requireClientCert(...given: GuardArguments): Middleware<DefaultState, IdentifiedContext> {
  const guard = makeGuard(...given)
  const pass = (denial: Denial | undefined, context: Context, next: Next) =>
    denial === undefined ? next() : refuse(denial, context)
  return function requireClientCert(context, next) {
    refuseOtherFramework(next, 'requireClientCert', 'koa')
    const denial = guard(context.req)
    return isThenable(denial) ? denial.then((late) => pass(late, context, next)) : pass(denial, context, next)
  }
}

/** The identity of a request. Throws `ClientCertConfigError` (500) where there is none. */
export function clientIdentity(context: Pick<Context, 'req'>): ClientIdentity {
  return requireIdentity(context.req)
}

function proceed(outcome: MountOutcome, context: Context, next: Next): Promise<unknown> | undefined {
  exposeIdentity(context)
  if (outcome === undefined) return next()
  if (outcome !== 'preflight') return refuse(outcome, context)
  context.respond = false
  endPreflight(context.res)
  return undefined
}

/** What the contexts of an application inherit from. */
function applicationContext(context: Context): object | undefined {
  const prototype = context.app?.context
  return Object.getPrototypeOf(context) === prototype ? prototype : undefined
}

const exposure = new Exposure<Context>(({ req }) => req, applicationContext)

function exposeIdentity(context: Context): void {
  exposure.expose(context)
  ;(context.state as ClientCertState).clientIdentity = identityOf(context.req)
}

/** Whoever wants to answers: the mount's `onDenied`, whoever catches the error, or we do. */
async function refuse({ error, decision, onDenied, requestId }: Denial, context: Context): Promise<void> {
  if (!isClientCertError(error)) throw error
  if (onDenied !== undefined && decision !== undefined) {
    // By way of the context: a body that is set gives 200 where Koa does not know the status from itself.
    context.status = error.status
    context.set({ ...error.headers })
    try {
      await onDenied(decision, context as never)
    } catch (thrown) {
      throw asFailure(thrown)
    }
    const isAnswered = context.res.headersSent || context.respond === false || (context.body ?? undefined) !== undefined
    if (isAnswered) return
  }
  answerUncaught(context, requestId)
  throw error
}

/** Koa asks `onerror` where nothing has caught an error. An application that has put its own in place answers itself. */
function answerUncaught(context: Context, requestId: string | undefined): void {
  if (Object.hasOwn(context.app.context, 'onerror') || Object.hasOwn(context, 'onerror')) return
  const inherited = context.onerror
  context.onerror = (error: Error) => {
    if (!isClientCertError(error) || context.headerSent || !context.writable) return inherited.call(context, error)
    context.app.emit('error', error, context)
    sendProblem(context.res, error, requestId)
  }
}
