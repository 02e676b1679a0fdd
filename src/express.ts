import type { NextFunction, Request } from 'express'
import type { AnyResponse } from './core/caching.js'
import { type GuardArguments, identityOf, makeGuard, requireIdentity } from './core/guard.js'
import { type ClientCertOptions, createMount } from './core/mount.js'
import type { ClientIdentity } from './identity/identity.js'
import type { AnyRequest } from './source/source.js'

export type { ClientCertOptions, MountOptions, ResponseOptions } from './core/mount.js'
export type { ClientIdentity } from './identity/identity.js'

declare global {
  namespace Express {
    interface Request {
      /** Who the client is; undefined where no mount of `clientCert()` accepted one. Cannot be assigned. */
      readonly clientIdentity?: ClientIdentity | undefined
    }
  }
}

/** A handler that leaves Express to infer the types of the route it stands in. */
export type ClientCertHandler = (request: AnyRequest, response: AnyResponse, next: NextFunction) => void

/**
 * Express middleware (4 and 5): every request carries a verified identity, or goes to the error handlers with a `ClientCertError`.
 *
 * @example
 * app.use(clientCert({ trust: './clients-ca.pem', revocation: 'none' }))
 */
export function clientCert(options: ClientCertOptions): ClientCertHandler {
  const mount = createMount(options)
  return function clientCert(request, response, next) {
    void mount(request, response)
      .then((error) => {
        exposeIdentity(request)
        return error
      })
      .then(next, next)
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
  return function requireClientCert(request, _response, next) {
    void guard(request).then((error) => (error === undefined ? next() : next(error)))
  }
}

/** The identity of a request. Throws `ClientCertConfigError` (500) where there is none. */
export function clientIdentity(request: Request): ClientIdentity {
  return requireIdentity(request)
}

function exposeIdentity(request: AnyRequest): void {
  Object.defineProperty(request, 'clientIdentity', {
    configurable: true,
    enumerable: true,
    get: () => identityOf(request),
  })
}
