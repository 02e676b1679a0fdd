import type { Context, Middleware } from 'koa'
import { type GuardArguments, identityOf, makeGuard, requireIdentity } from './core/guard.js'
import { type ClientCertOptions, createMount } from './core/mount.js'
import type { ClientIdentity } from './identity/identity.js'

export type { ClientCertOptions, MountOptions, ResponseOptions } from './core/mount.js'
export type { ClientIdentity } from './identity/identity.js'

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
 * Koa middleware (2 and 3): every request carries a verified identity, or throws a `ClientCertError` with status and header fields.
 *
 * @example
 * app.use(clientCert({ trust: './clients-ca.pem', revocation: 'none' }))
 */
export function clientCert(options: ClientCertOptions): Middleware {
  const mount = createMount(options)
  return async function clientCert(context, next) {
    const error = await mount(context.req, context.res)
    exposeIdentity(context)
    if (error !== undefined) throw error
    return next()
  }
}

/**
 * Koa middleware for a route: refuses unless `clientCert()` accepted the client, and the rule holds.
 *
 * @example
 * router.put('/catalog/:id', requireClientCert(rules.dnsName('editor.acme.test')), handler)
 */
export function requireClientCert(...given: GuardArguments): Middleware {
  const guard = makeGuard(...given)
  return async function requireClientCert(context, next) {
    const error = await guard(context.req)
    if (error !== undefined) throw error
    return next()
  }
}

/** The identity of a request. Throws `ClientCertConfigError` (500) where there is none. */
export function clientIdentity(context: Pick<Context, 'req'>): ClientIdentity {
  return requireIdentity(context.req)
}

function exposeIdentity(context: Context): void {
  const { req } = context
  Object.defineProperty(context, 'clientIdentity', {
    configurable: true,
    enumerable: true,
    get: () => identityOf(req),
  })
  ;(context.state as ClientCertState).clientIdentity = identityOf(req)
}
