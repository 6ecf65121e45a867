/** Both ways to start it are tried from one build. */
export default {
  output: 'standalone',
  outputFileTracingRoot: import.meta.dirname,
  // The stack of a stuck worker is to have the names of the source.
  experimental: { serverMinification: false },
};
