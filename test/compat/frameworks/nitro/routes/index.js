export default defineEventHandler(() => 'served');
