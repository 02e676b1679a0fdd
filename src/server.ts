/**
 * `mtls-identity/server`: what keeps a server right while it runs.
 *
 * @module
 */
export { type GuardConnectionOptions, type GuardedConnection, guardConnection } from './core/guard-connection.js'
export {
  type AdvertiseOption,
  type EnforcedTlsOptions,
  type TlsServerOptions,
  tlsServerOptions,
} from './core/server-options.js'
