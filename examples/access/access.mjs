// Who may do what, the same for Express and Koa.
import { fileURLToPath } from 'node:url'
import { rules } from 'mtls-identity'

/** Data, for operators: the file may change while the server runs. */
const partners = rules.document({
  file: process.env.PARTNERS ?? fileURLToPath(new URL('partners.json', import.meta.url)),
})

/** Code, for what seldom changes. */
export const admins = rules.all(rules.subject({ O: 'Example', OU: ['Admins'] }), rules.maximumLifetime('90d'))
export const editors = rules.any(rules.subject({ O: 'Example', OU: ['Editors'] }), admins)
export const readers = rules.any(partners, editors)

/** Users by certificate: a database in real life. Undefined refuses. */
const users = new Map([
  ['alice', { id: 1, name: 'Alice', plan: 'free' }],
  ['bob', { id: 2, name: 'Bob', plan: 'paid' }],
  ['carol', { id: 3, name: 'Carol', plan: 'paid' }],
  ['mallory', { id: 4, name: 'Mallory', plan: 'free' }],
])
export const resolve = async ({ subject }) => users.get(subject.get('CN'))
