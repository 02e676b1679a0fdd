import base from './jest.config.mjs'

// Packs and compiles: minutes rather than seconds, so it belongs to `npm run check` and not to `npm test`.
export default { ...base, roots: ['<rootDir>/test/packaging'], testTimeout: 180_000 }
